import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the gateway may be reached under any path behind a proxy.
  base: "./",
  plugins: [react()],
  build: {
    rollupOptions: { input: "editor.html" },
    assetsInlineLimit: 0,
    sourcemap: false,
    // The query editor is one page for developers; its size is the size of GraphiQL.
    chunkSizeWarningLimit: 2000,
  },
});
