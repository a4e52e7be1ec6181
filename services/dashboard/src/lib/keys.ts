/** Keys that a person presses one after the other: "g r" goes to the runs. Pure. */

export type Binding = { keys: string; name: string; group: string };

/** Milliseconds until the first key of a sequence is forgotten. */
export const PATIENCE = 1_500;

/** What was pressed so far, and when. */
export type Pressed = { keys: string; at: number };

/**
 * What a key means after those before it: a binding, or the beginning of one (then `rest` waits for the next key).
 * A key that goes on with nothing begins anew by itself, so "g x r" is "r".
 */
export function pressed<Known extends { keys: string }>(
  known: readonly Known[],
  before: Pressed | null,
  key: string,
  now: number,
): { found: Known | null; rest: Pressed | null } {
  const isFresh = before !== null && now - before.at < PATIENCE;
  for (const keys of isFresh ? [`${before.keys} ${key}`, key] : [key]) {
    // The last one that was bound is that of the page on top.
    const found = [...known].reverse().find((each) => each.keys === keys);
    if (found) return { found, rest: null };
    if (known.some((each) => each.keys.startsWith(`${keys} `))) return { found: null, rest: { keys, at: now } };
  }
  return { found: null, rest: null };
}
