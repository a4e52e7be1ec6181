const LIVE = 60_000;
const STALE = 15 * 60_000;

/** Whether an agent works: it asks for work each few seconds while it lives. */
export function agentStateOf(lastQueried: string | null | undefined, now: number): "live" | "stale" | "dead" {
  if (!lastQueried) return "dead";
  const silent = now - Date.parse(lastQueried);
  return silent < LIVE ? "live" : silent < STALE ? "stale" : "dead";
}

export const labelsOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String).sort() : []);

/** Whether an agent takes runs with these labels: it has all of them; one with labels takes no run without. */
export function canTake(agent: { labels: unknown }, labels: readonly string[]): boolean {
  const has = new Set(labelsOf(agent.labels));
  return labels.length === 0 ? has.size === 0 : labels.every((label) => has.has(label));
}

/** The sets of labels of waiting runs that no live agent takes, with how many runs have them. */
export function unmatched(waiting: readonly { id: string; labels: unknown }[], live: readonly { labels: unknown }[]) {
  const sets = new Map<string, { labels: string[]; runs: number; first: string }>();
  for (const run of waiting) {
    const labels = labelsOf(run.labels);
    const key = JSON.stringify(labels);
    const set = sets.get(key);
    if (set) set.runs += 1;
    else sets.set(key, { labels, runs: 1, first: run.id });
  }
  return [...sets.values()].filter(({ labels }) => !live.some((agent) => canTake(agent, labels)));
}
