import type { Family } from "../lib/states";

/**
 * One colour for each family of states, on light and on dark paper. `tests/palette.test.ts` holds them to 3:1 against the
 * paper and to a distance of ten (CIEDE2000) from each other, for normal sight, deuteranopia and protanopia.
 */
export const PALETTE: Record<"light" | "dark", Record<Family, string>> = {
  light: {
    waiting: "#b87400",
    running: "#2563eb",
    success: "#0b7a5f",
    failed: "#a8142a",
    cancelled: "#8b919a",
    skipped: "#4a2d87",
  },
  dark: {
    waiting: "#f0b429",
    running: "#5b9bff",
    success: "#2fd1ac",
    failed: "#ff6670",
    cancelled: "#9aa1ab",
    skipped: "#dcc9ff",
  },
};

export const PAPER = { light: "#ffffff", dark: "#14181d" } as const;
