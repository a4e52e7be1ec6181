import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Relative addresses: the gateway may be reached under any path behind a proxy. It sets <base> in index.html.
  base: "./",
  plugins: [react()],
  resolve: { alias: { "d3-color": new URL("src/lib/noColours.ts", import.meta.url).pathname } },
  build: {
    rollupOptions: { input: ["index.html", "editor.html"] },
    assetsInlineLimit: 0,
    sourcemap: false,
    // The query editor is one page for developers; its size is the size of GraphiQL.
    chunkSizeWarningLimit: 2000,
  },
  test: { include: ["tests/**/*.test.{ts,tsx}"], environment: "happy-dom", testTimeout: 30_000 },
});
