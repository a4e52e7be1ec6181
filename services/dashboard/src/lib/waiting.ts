/** What the words of `waiting_reason` mean (services/gateway/reads/waiting.py). Pure. */

const TEXTS: Record<string, (more: string) => string> = {
  needs_approval: () => "It is paused until somebody resumes it.",
  queued: () => "It is queued; its process asks again soon.",
  retry_later: () => "It failed and is tried again later.",
  start_time_ahead: () => "Its time to start is still to come.",
  flow_run_not_running: (more) => `Its flow run does not run: it is ${more}.`,
  upstream_unfinished: (more) => `It waits for ${more}.`,
  not_started: () => "Nothing is in its way; its process has not come to it yet.",
};

/** A sentence; null for a word that this page does not know. */
export function waitingText(word: string, more: string): string | null {
  return TEXTS[word]?.(more) ?? null;
}
