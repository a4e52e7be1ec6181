/** What changed between two texts, line by line. Pure. */

export type Line = { kind: "same" | "gone" | "come"; text: string } | { kind: "skip"; text: string };

/** Lines that are looked at with care; longer texts are told as one replaced by the other. */
const MOST = 2_000;
/** Lines shown around a change. */
const AROUND = 3;

/** The lines of both texts in order: what is only in the first is gone, what is only in the second has come. */
export function diffLines(one: string, other: string): Line[] {
  const [a, b] = [one.split("\n"), other.split("\n")];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const same = (texts: string[]): Line[] => texts.map((text) => ({ kind: "same", text }));
  return [
    ...same(a.slice(0, start)),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...same(a.slice(a.length - end)),
  ];
}

function middle(a: readonly string[], b: readonly string[]): Line[] {
  const replaced: Line[] = [...a.map((text) => ({ kind: "gone" as const, text })), ...b.map((text) => ({ kind: "come" as const, text }))];
  if (a.length === 0 || b.length === 0 || a.length > MOST || b.length > MOST) return replaced;
  const width = b.length + 1;
  // longest[i * width + j]: how many lines a from i and b from j have in common.
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      longest[at] = a[i] === b[j] ? (longest[at + width + 1] ?? 0) + 1 : Math.max(longest[at + width] ?? 0, longest[at + 1] ?? 0);
    }
  }
  const found: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    const at = i * width + j;
    if (a[i] === b[j]) {
      found.push({ kind: "same", text: a[i] ?? "" });
      i += 1;
      j += 1;
    } else if ((longest[at + width] ?? 0) >= (longest[at + 1] ?? 0)) found.push({ kind: "gone", text: a[i++] ?? "" });
    else found.push({ kind: "come", text: b[j++] ?? "" });
  }
  return [...found, ...a.slice(i).map((text) => ({ kind: "gone" as const, text })), ...b.slice(j).map((text) => ({ kind: "come" as const, text }))];
}

/** Only what is near a change; each longer run of equal lines is one line that counts them. */
export function folded(lines: readonly Line[]): Line[] {
  const near = new Set<number>();
  lines.forEach((line, index) => {
    if (line.kind === "same") return;
    for (let at = index - AROUND; at <= index + AROUND; at += 1) near.add(at);
  });
  const found: Line[] = [];
  let left = 0;
  const flush = () => {
    if (left > 0) found.push({ kind: "skip", text: `${left} equal ${left === 1 ? "line" : "lines"}` });
    left = 0;
  };
  lines.forEach((line, index) => {
    if (!near.has(index)) left += 1;
    else {
      flush();
      found.push(line);
    }
  });
  flush();
  return found;
}
