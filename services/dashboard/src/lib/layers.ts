/** Places for the tasks of a flow: layers by the longest way from a root, each ordered by the middle of what it follows. */

export type Edge = { from: string; to: string };
export type Place = { id: string; x: number; y: number };

const WIDTH = 240;
const HEIGHT = 76;
const SWEEPS = 4;

/** A place for each node. Edges to unknown nodes and circles do no harm. Linear in nodes and edges. */
export function layers(ids: readonly string[], edges: readonly Edge[]): Place[] {
  const known = new Set(ids);
  const kept = edges.filter((edge) => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to);
  const after = group(kept, (edge) => edge.from, (edge) => edge.to);
  const before = group(kept, (edge) => edge.to, (edge) => edge.from);
  const level = longestWays(ids, after, before);
  const rows: string[][] = [];
  for (const id of ids) (rows[level.get(id) ?? 0] ??= []).push(id);
  for (let index = 0; index < rows.length; index += 1) rows[index] ??= [];
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    const position = new Map<string, number>();
    for (const row of rows) row.forEach((id, at) => position.set(id, at));
    for (const row of down ? rows : [...rows].reverse()) {
      const middle = new Map(row.map((id, at) => [id, mean((down ? before : after).get(id), position) ?? at] as const));
      row.sort((one, other) => (middle.get(one) ?? 0) - (middle.get(other) ?? 0));
      row.forEach((id, at) => position.set(id, at));
    }
  }
  const widest = Math.max(1, ...rows.map((row) => row.length));
  return rows.flatMap((row, y) =>
    row.map((id, at) => ({ id, x: (at + (widest - row.length) / 2) * WIDTH, y: y * HEIGHT })),
  );
}

function group(edges: readonly Edge[], key: (edge: Edge) => string, value: (edge: Edge) => string) {
  const found = new Map<string, string[]>();
  for (const edge of edges) {
    const list = found.get(key(edge));
    if (list) list.push(value(edge));
    else found.set(key(edge), [value(edge)]);
  }
  return found;
}

function longestWays(ids: readonly string[], after: Map<string, string[]>, before: Map<string, string[]>) {
  const waits = new Map(ids.map((id) => [id, before.get(id)?.length ?? 0] as const));
  const level = new Map<string, number>();
  const ready = ids.filter((id) => waits.get(id) === 0);
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at] as string;
    const mine = level.get(id) ?? 0;
    level.set(id, mine);
    for (const next of after.get(id) ?? []) {
      level.set(next, Math.max(level.get(next) ?? 0, mine + 1));
      const left = (waits.get(next) ?? 0) - 1;
      waits.set(next, left);
      if (left === 0) ready.push(next);
    }
  }
  return level;
}

function mean(neighbours: string[] | undefined, position: Map<string, number>): number | null {
  if (!neighbours?.length) return null;
  return neighbours.reduce((sum, id) => sum + (position.get(id) ?? 0), 0) / neighbours.length;
}
