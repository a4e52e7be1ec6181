/** Where the bars of a run's tasks stand in time. Pure; all times in milliseconds. */

export type Bar = { from: number; to: number; kind: "queued" | "ran"; state: string };
export type GanttRow = { id: string; name: string; note: string; bars: Bar[] };

type TaskRun = {
  id: string;
  name: string | null;
  map_index: number;
  state: string;
  created: string;
  start_time: string | null;
  end_time: string | null;
  task: { name: string | null; slug: string; mapped: boolean } | null;
};

/** What a task run is called: its name, or its task's, with its index when it is a mapped child. */
export function nameOf(run: Pick<TaskRun, "name" | "map_index" | "task">): string {
  const name = run.name ?? run.task?.name ?? run.task?.slug ?? "task";
  return run.map_index >= 0 && !run.name ? `${name}[${run.map_index}]` : name;
}

/**
 * One row for each task run, in the order in which they began; the time in the queue stands before the time at work.
 * Task runs are made with their flow run, perhaps hours ahead: they wait from when it began, `since`, at the earliest.
 */
export function rowsOf(runs: readonly TaskRun[], since: number, now: number): GanttRow[] {
  const began = (run: TaskRun) => Date.parse(run.start_time ?? run.created);
  return [...runs]
    .sort((one, other) => began(one) - began(other))
    .map((run) => {
      const bars: Bar[] = [];
      const created = Math.max(Date.parse(run.created), since);
      const start = run.start_time ? Date.parse(run.start_time) : null;
      if (start === null) bars.push({ from: created, to: Math.max(now, created), kind: "queued", state: run.state });
      else {
        if (start - created > 50) bars.push({ from: created, to: start, kind: "queued", state: run.state });
        const end = run.end_time ? Date.parse(run.end_time) : now;
        bars.push({ from: start, to: Math.max(end, start), kind: "ran", state: run.state });
      }
      return { id: run.id, name: nameOf(run), note: run.state, bars };
    });
}

/** The span of all bars; never empty, so that a division by its length is safe. */
export function spanOf(rows: readonly GanttRow[]): { from: number; to: number } {
  let from = Infinity;
  let to = -Infinity;
  for (const row of rows) {
    for (const bar of row.bars) {
      from = Math.min(from, bar.from);
      to = Math.max(to, bar.to);
    }
  }
  return from === Infinity ? { from: 0, to: 1 } : { from, to: Math.max(to, from + 1) };
}

/** Round steps of time for an axis: at most `most` of them. */
export function ticksOf(span: { from: number; to: number }, most = 6): number[] {
  const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];
  const length = span.to - span.from;
  const step = STEPS.find((each) => length / each <= most) ?? Math.ceil(length / most / 864e5) * 864e5;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}
