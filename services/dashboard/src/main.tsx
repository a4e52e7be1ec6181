import { MantineProvider, localStorageColorSchemeManager } from "@mantine/core";
import "@mantine/core/styles.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { dropFrame } from "./app/frame";
import { queries } from "./app/live";
import { PreferencesProvider } from "./app/preferences";
import { keepPartsWhole } from "./app/reload";
import { router } from "./app/router";
import { askWho, SessionProvider } from "./app/session";
import "./theme/app.css";
import { PALETTE } from "./theme/palette";
import { theme } from "./theme/theme";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
const variables = (scheme: "light" | "dark") => ({
  ...Object.fromEntries(Object.entries(PALETTE[scheme]).map(([family, colour]) => [`--${family}`, colour])),
  // Mantine's own greys are too faint for small text (WCAG 2.2, 4.5:1).
  "--mantine-color-dimmed": "var(--quiet)",
  "--mantine-color-placeholder": "var(--quiet)",
  "--mantine-color-default": "var(--paper)",
  "--mantine-color-default-border": "var(--line)",
  "--mantine-color-default-hover": "var(--hover)",
});

// The gateway lets only styles with this word in (its Content-Security-Policy).
const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content ?? "";
setNonce(nonce);

keepPartsWhole();
dropFrame(root);

// Both are on their way while the frame is made: who looks, and the code of the page that is looked at.
askWho(queries);
void router.load();

createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce}
      colorSchemeManager={localStorageColorSchemeManager({ key: "headwater-theme" })}
      cssVariablesResolver={() => ({ variables: {}, light: variables("light"), dark: variables("dark") })}
    >
      <QueryClientProvider client={queries}>
        <PreferencesProvider>
          <SessionProvider>
            <RouterProvider router={router} />
          </SessionProvider>
        </PreferencesProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
