import { familyOf, FAMILIES, type Family } from "./states";

/** Bars over time: how many runs of each family of states. Pure; times in milliseconds. */

export type Bucket = { bucket: string; state: string; count: number; is_more: boolean };
export type Column = { from: number; to: number; counts: Record<Family, number>; total: number; isMore: boolean };
export type Window = { from: number; to: number; by: "hour" | "day" };

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Bars that can still be told apart. */
const MOST_HOURS = 72;

/**
 * The window of a list: what was chosen, or the last day. It begins and ends with whole hours, so that the same question
 * is asked for an hour; days begin where the zone has them, which the gateway knows.
 */
export function windowOf(chosen: { from?: string; to?: string; hours?: number }, now: number): Window {
  const to = chosen.to ? Date.parse(chosen.to) : (Math.floor(now / HOUR) + 1) * HOUR;
  const from = chosen.from ? Date.parse(chosen.from) : to - Math.max(1, chosen.hours ?? 24) * HOUR;
  const begins = Math.floor(from / HOUR) * HOUR;
  return { from: begins, to: Math.max(to, begins + HOUR), by: to - begins > MOST_HOURS * HOUR ? "day" : "hour" };
}

/** One column for each hour or day of the window, also where nothing happened. */
export function columnsOf(buckets: readonly Bucket[], window: Window): Column[] {
  const length = window.by === "hour" ? HOUR : DAY;
  const first = Math.min(window.from, ...buckets.map((each) => Date.parse(each.bucket)));
  const count = Math.min(800, Math.max(1, Math.ceil((window.to - first) / length)));
  const columns: Column[] = Array.from({ length: count }, (_, index) => ({
    from: first + index * length,
    to: first + (index + 1) * length,
    counts: Object.fromEntries(FAMILIES.map((family) => [family, 0])) as Record<Family, number>,
    total: 0,
    isMore: false,
  }));
  for (const { bucket, state, count: runs, is_more } of buckets) {
    // A day in which the clocks change is an hour shorter or longer: the nearest column is its own.
    const column = columns[Math.round((Date.parse(bucket) - first) / length)];
    if (!column) continue;
    column.counts[familyOf(state)] += runs;
    column.total += runs;
    column.isMore ||= is_more;
  }
  return columns;
}

/** What a bar says to who cannot see it: "120 runs: 118 Succeeded, 2 Failed". */
export function inWords(column: Column, names: Record<Family, string>): string {
  const parts = FAMILIES.filter((family) => column.counts[family] > 0).map((family) => `${column.counts[family].toLocaleString("en")} ${names[family].toLowerCase()}`);
  const total = `${column.total.toLocaleString("en")}${column.isMore ? "+" : ""} ${column.total === 1 ? "run" : "runs"}`;
  return parts.length === 0 ? "no runs" : `${total}: ${parts.join(", ")}`;
}
