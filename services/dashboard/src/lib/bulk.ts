/** Actions on many runs at once (services/gateway/bulk). Pure. */

export const ACTIONS = {
  CANCEL: { name: "Cancel", did: "cancelled", text: "Runs at work are told to stop; those that wait are over at once.", danger: true },
  RESTART: { name: "Restart from failed", did: "restarted", text: "What failed or was cancelled runs again; what succeeded does not.", danger: false },
  RUN_NOW: { name: "Run now", did: "set to start now", text: "Runs that wait for their time start as soon as an agent takes them.", danger: false },
  DELETE: { name: "Delete", did: "deleted", text: "Their tasks, states, logs and artifacts go with them. Nothing brings them back.", danger: true },
} as const;
export type Action = keyof typeof ACTIONS;

/** The gateway takes no more in one request. */
export const MOST = 10_000;

/** Which runs: those of a list, or all that a filter gives. */
export type Chosen = { ids: string[] } | { where: Record<string, unknown> };

export function inputOf(action: Action, chosen: Chosen, requestKey: string, dryRun: boolean) {
  return { action, request_key: requestKey, dry_run: dryRun, ...chosen };
}

/**
 * A name for one request: sent twice, it is done once. Browsers have `randomUUID` on https and their own machine only,
 * so it is made of plain random bytes.
 */
export function newKey(random: (bytes: Uint8Array) => Uint8Array = (bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)): string {
  const text = [...random(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `dashboard-${text}`;
}

/** "1 run", "2,340 runs". */
export function runs(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"}`;
}

/** How many were refused for which reason, the most frequent first; ids and versions in it do not make two of one. */
export function reasons(items: readonly { reason: string | null }[]): { reason: string; count: number }[] {
  const counted = new Map<string, number>();
  for (const { reason } of items) {
    const text = (reason ?? "No reason was given.").replace(/version \d+/g, "version N");
    counted.set(text, (counted.get(text) ?? 0) + 1);
  }
  return [...counted].map(([reason, count]) => ({ reason, count })).sort((one, other) => other.count - one.count);
}
