import { createTheme, type MantineColorsTuple } from "@mantine/core";

const water: MantineColorsTuple = [
  "#e6f6f8", "#cfe9ee", "#a2d3dd", "#70bccb", "#48a8bb", "#2d9cb1", "#1b8ba1", "#0b6e82", "#075c6e", "#034b5a",
];

/** The greys of the dark theme: of the same cool hue as its paper, where Mantine's own are warm. */
const dark: MantineColorsTuple = [
  "#e8ecf1", "#c6cdd6", "#a0a9b4", "#75808d", "#3a444f", "#2a313a", "#1d232b", "#14181d", "#0d1014", "#080a0d",
];

/** What takes something away for good: the red of failures, under white letters in both themes. */
const alarm: MantineColorsTuple = [
  "#fdecee", "#f8d3d8", "#f0a6af", "#e77886", "#dc4f61", "#cf3247", "#bd2036", "#a8142a", "#8c0d20", "#700817",
];

/** One scale of type (12, 13, 14, 16, 22 px) and one of space (4, 8, 12, 16, 24, 40 px). */
export const theme = createTheme({
  primaryColor: "water",
  primaryShade: 7,
  autoContrast: true,
  colors: { alarm, dark, water },
  fontFamily: 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "22px" },
  spacing: { xs: "4px", sm: "8px", md: "12px", lg: "16px", xl: "24px" },
  defaultRadius: "md",
  headings: { fontWeight: "650", sizes: { h1: { fontSize: "22px" }, h2: { fontSize: "14px" } } },
  components: {
    Button: { defaultProps: { size: "xs" }, styles: { root: { fontWeight: 500 } } },
    TextInput: { defaultProps: { size: "xs" } },
    NumberInput: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "xs" } },
    // They suggest nothing: a list that is empty, and so not seen, would take the Escape that closes a dialog.
    TagsInput: { defaultProps: { size: "xs", dropdownOpened: false } },
    JsonInput: { defaultProps: { size: "xs" }, styles: { input: { fontSize: "12.5px", lineHeight: "18px" } } },
    InputWrapper: { styles: { description: { fontSize: "12px" }, label: { fontSize: "13px" } } },
    Textarea: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    Switch: { defaultProps: { size: "sm" }, styles: { description: { fontSize: "12px", lineHeight: 1.4 } } },
    Tabs: { styles: { tab: { fontSize: "13px", padding: "8px 12px" } } },
    Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close this dialog" } }, styles: { title: { fontWeight: 650, fontSize: "16px" } } },
  },
});
