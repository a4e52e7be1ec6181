/** Which part of a large graph is seen. Pure; places are in the order of `layers`: by `y`, then by `x`. */

import type { Edge, Place } from "./layers";

export const NODE = { width: 208, height: 44 } as const;

/** Where a viewport stands: a point of the graph is shown at `point * zoom + offset` pixels. */
export type View = { x: number; y: number; zoom: number };
export type Box = { left: number; top: number; right: number; bottom: number };

/**
 * The part of the graph that a viewport of this size shows, with a margin of a grid's step on each side. Its borders are
 * on the grid, so a small move shows the same box.
 */
export function boxOf(view: View, size: { width: number; height: number }, step = 400): Box {
  const down = (at: number) => (Math.floor(at / step) - 1) * step;
  const up = (at: number) => (Math.ceil(at / step) + 1) * step;
  return {
    left: down(-view.x / view.zoom),
    top: down(-view.y / view.zoom),
    right: up((size.width - view.x) / view.zoom),
    bottom: up((size.height - view.y) / view.zoom),
  };
}

/** The nodes in a box; null where there are more than `most`. */
export function nodesIn(places: readonly Place[], box: Box, most: number): Place[] | null {
  const found: Place[] = [];
  for (let at = firstBelow(places, box.top - NODE.height); at < places.length; at += 1) {
    const place = places[at] as Place;
    if (place.y > box.bottom) break;
    if (place.x + NODE.width < box.left || place.x > box.right) continue;
    if (found.push(place) > most) return null;
  }
  return found;
}

function firstBelow(places: readonly Place[], y: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] as Place).y < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Four numbers for each edge between known nodes: from the middle of a node's lower side to that of another's upper. */
export function linesOf(places: readonly Place[], edges: readonly Edge[]): Float64Array {
  const known = new Map(places.map((place) => [place.id, place] as const));
  const lines = new Float64Array(4 * edges.length);
  let end = 0;
  for (const edge of edges) {
    const [from, to] = [known.get(edge.from), known.get(edge.to)];
    if (!from || !to) continue;
    lines.set([from.x + NODE.width / 2, from.y + NODE.height, to.x + NODE.width / 2, to.y], end);
    end += 4;
  }
  return lines.subarray(0, end);
}

/** The part of the graph that all nodes take. */
export function boundsOf(places: readonly Place[]): { x: number; y: number; width: number; height: number } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of places) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + NODE.width);
    bottom = Math.max(bottom, y + NODE.height);
  }
  return places.length === 0 ? { x: 0, y: 0, width: 1, height: 1 } : { x: left, y: top, width: right - left, height: bottom - top };
}
