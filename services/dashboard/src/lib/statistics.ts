import { FAMILIES, familyOf, isFinished, type Family } from "./states";

type Run = { state: string; start_time: string | null; end_time: string | null };

/** The value below which a share of all values lies, by the nearest rank; null of none. */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}

/** How many runs are in each family, in the order of the families; families without runs are left out. */
export function countsOf(runs: readonly Run[]): [Family, number][] {
  const counts = new Map<Family, number>();
  for (const run of runs) counts.set(familyOf(run.state), (counts.get(familyOf(run.state)) ?? 0) + 1);
  return FAMILIES.flatMap((family) => (counts.has(family) ? [[family, counts.get(family) ?? 0] as [Family, number]] : []));
}

/** What share of those that ended in success or failure failed, from 0 to 1; null where none did either. */
export function failureRate(runs: readonly Run[]): number | null {
  const counts = new Map(countsOf(runs));
  const failed = counts.get("failed") ?? 0;
  const all = failed + (counts.get("success") ?? 0);
  return all === 0 ? null : failed / all;
}

/** How long each finished run took, in milliseconds. */
export function durationsOf(runs: readonly Run[]): number[] {
  return runs.flatMap((run) =>
    run.start_time && run.end_time && isFinished(run.state) ? [Date.parse(run.end_time) - Date.parse(run.start_time)] : [],
  );
}
