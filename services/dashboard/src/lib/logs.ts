/** Lines of a log in order, and the conditions that ask for those before and after one of them. */

export type Line = {
  id: string;
  timestamp: string;
  sequence: number;
  level: string | null;
  name: string | null;
  message: string | null;
  task_run_id: string | null;
};

type Place = Pick<Line, "timestamp" | "sequence">;

/** Lines before this one; with `inclusive` the line itself too. */
export function cursorBefore(line: Place, inclusive = false) {
  return {
    _or: [
      { timestamp: { _lt: line.timestamp } },
      {
        timestamp: { _eq: line.timestamp },
        sequence: inclusive ? { _lte: line.sequence } : { _lt: line.sequence },
      },
    ],
  };
}

/** Lines after this one. */
export function cursorAfter(line: Place) {
  return {
    _or: [
      { timestamp: { _gt: line.timestamp } },
      { timestamp: { _eq: line.timestamp }, sequence: { _gt: line.sequence } },
    ],
  };
}

/** Both in one order, each line once. The same array when nothing is new. */
export function merge(lines: Line[], more: readonly Line[]): Line[] {
  const known = new Set(lines.map((line) => line.id));
  const fresh = more.filter((line) => !known.has(line.id)).sort(inOrder);
  const [first, last] = [fresh[0], fresh.at(-1)];
  if (first === undefined || last === undefined) return lines;
  // Lines nearly always come at one of the ends, and a long log need not be sorted anew for them.
  const [oldest, newest] = [lines[0], lines.at(-1)];
  if (newest === undefined || inOrder(newest, first) <= 0) return [...lines, ...fresh];
  if (oldest !== undefined && inOrder(last, oldest) <= 0) return [...fresh, ...lines];
  return [...lines, ...fresh].sort(inOrder);
}

/** So many lines are kept in memory, about 8 MB; more are cut to fewer, so that it happens seldom. */
export const KEPT = { most: 20_000, cutTo: 15_000 } as const;

/** The lines at that end of them where somebody reads, where there are more than are kept. */
export function cut(lines: Line[], end: "first" | "last"): Line[] {
  if (lines.length <= KEPT.most) return lines;
  return end === "last" ? lines.slice(-KEPT.cutTo) : lines.slice(0, KEPT.cutTo);
}

function inOrder(one: Line, other: Line): number {
  // Timestamps of the API are ISO 8601 in one zone, but with as many decimals as they need.
  const [a, b] = [Date.parse(one.timestamp), Date.parse(other.timestamp)];
  if (a !== b) return a - b;
  if (one.timestamp !== other.timestamp) return micro(one.timestamp) - micro(other.timestamp);
  return Number(one.sequence) - Number(other.sequence);
}

function micro(timestamp: string): number {
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? "";
  return Number(digits.padEnd(9, "0"));
}

export const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;

/** This level and those above it. The lowest is no filter: lines may have levels of their own. */
export function levelsFrom(level: string): string[] {
  const at = (LEVELS as readonly string[]).indexOf(level);
  return at <= 0 ? [] : LEVELS.slice(at);
}

export type LogFilter = { level: string; text: string; taskRunId?: string | undefined };

/** The address of a log as a file, filtered as it is shown. */
export function downloadOf(flowRunId: string, filter: LogFilter, format: "text" | "ndjson", gzip: boolean): string {
  const asked = new URLSearchParams({ format });
  if (gzip) asked.set("gzip", "true");
  const levels = levelsFrom(filter.level);
  if (levels.length > 0) asked.set("level", levels.join(","));
  if (filter.text) asked.set("text", filter.text);
  if (filter.taskRunId) asked.set("task_run_id", filter.taskRunId);
  return `api/flow-runs/${flowRunId}/logs?${asked.toString()}`;
}
