/** The tries of a task run, from the history of its states. Pure. */

type Past = { state: string; message: string | null; timestamp: string; version: number };

/** One try: from Running to what came of it. `waited` is how long it waited since the try before. Milliseconds. */
export type Attempt = { number: number; from: number; to: number | null; state: string; message: string | null; waited: number | null };

/** The tries in order, from states in any order. What never ran has none. */
export function attemptsOf(states: readonly Past[]): Attempt[] {
  const inOrder = [...states].sort((one, other) => one.version - other.version);
  const attempts: Attempt[] = [];
  for (const { state, message, timestamp } of inOrder) {
    const at = Date.parse(timestamp);
    const last = attempts.at(-1);
    if (state === "Running") {
      // A run that is said to run twice in a row (a heartbeat of an old client) goes on with its try.
      if (last && last.to === null) continue;
      attempts.push({ number: attempts.length + 1, from: at, to: null, state, message, waited: last?.to == null ? null : at - last.to });
    } else if (last && last.to === null) Object.assign(last, { to: at, state, message });
  }
  return attempts;
}
