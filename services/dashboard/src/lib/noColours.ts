/**
 * Stands in the place of `d3-color` (vite.config.ts). React Flow's zoom brings d3's transitions along, which could fade
 * one colour into another: nothing here does, and the names of 148 colours would be a twentieth of the graph's code.
 * No text is a colour to it, so a transition would change it as any other text.
 */
export const color = (): null => null;
export const rgb = color;
export const hsl = color;
export const lab = color;
export const hcl = color;
export const cubehelix = color;
