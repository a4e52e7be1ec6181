import type { Family } from "./states";

/** How it stands with a delivery: a word, and the family whose shape and colour it has. Pure. */
const STATUSES: Readonly<Record<string, { word: string; family: Family }>> = {
  pending: { word: "To be sent", family: "waiting" },
  delivered: { word: "Delivered", family: "success" },
  failed: { word: "Given up", family: "failed" },
  muted: { word: "Muted", family: "skipped" },
  switched_off: { word: "Switched off", family: "cancelled" },
  counted: { word: "Counted", family: "waiting" },
  digested: { word: "Told in a digest", family: "skipped" },
};
export const STATUS_NAMES: readonly string[] = Object.keys(STATUSES);

/** A status in words; one that nobody knows is its own word. */
export function statusOf(status: string): { word: string; family: Family } {
  return Object.hasOwn(STATUSES, status) ? (STATUSES[status] ?? { word: status, family: "waiting" }) : { word: status, family: "waiting" };
}

/** What a receiver answered to one try: its status and in which time, or why nothing came. */
export function tryInWords({ status, latency_ms: took, error }: { status: number | null; latency_ms: number; error: string | null }): string {
  const answer = status === null ? (error ?? "no answer") : `${status}${error === null ? "" : `: ${error}`}`;
  return `${answer}, in ${took.toLocaleString("en")} ms`;
}
