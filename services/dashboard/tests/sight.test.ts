import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { layers, type Edge } from "../src/lib/layers";
import { boundsOf, boxOf, linesOf, NODE, nodesIn } from "../src/lib/sight";

const ids = Array.from({ length: 600 }, (_, index) => `t${index}`);
const edges: Edge[] = ids.slice(20).map((to, index) => ({ from: ids[index] as string, to }));
const places = layers(ids, edges);
const SIZE = { width: 900, height: 600 };

describe("the part of a large graph that is seen", () => {
  it("has each node that the viewport shows, whole or in part, and none that is far from it", () => {
    const view = fc.record({
      x: fc.integer({ min: -6_000, max: 600 }),
      y: fc.integer({ min: -6_000, max: 600 }),
      zoom: fc.double({ min: 0.05, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(view, (at) => {
        const found = new Set(nodesIn(places, boxOf(at, SIZE), Infinity));
        const wrong = places.filter((place) => {
          const [left, top] = [place.x * at.zoom + at.x, place.y * at.zoom + at.y];
          const [right, bottom] = [left + NODE.width * at.zoom, top + NODE.height * at.zoom];
          const isShown = right > 0 && left < SIZE.width && bottom > 0 && top < SIZE.height;
          // Two steps of the grid, seen at this zoom.
          const isFar = Math.max(-right, left - SIZE.width, -bottom, top - SIZE.height) > 801 * at.zoom;
          return found.has(place) ? isFar : isShown;
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it("is nothing but its outline where more nodes are in it than are drawn", () => {
    const all = boxOf({ x: 0, y: 0, zoom: 0.05 }, SIZE);
    expect(nodesIn(places, all, 250)).toBeNull();
    expect(nodesIn(places, all, 600)).toHaveLength(600);
  });

  it("is the same box after a move of a few pixels, so that nothing is drawn anew", () => {
    expect(boxOf({ x: -1_010, y: -1_010, zoom: 1 }, SIZE)).toEqual(boxOf({ x: -1_030, y: -1_030, zoom: 1 }, SIZE));
  });

  it("has a line for each edge between tasks that are known, from the lower side of one to the upper of the other", () => {
    const [one, other] = [{ id: "a", x: 0, y: 0 }, { id: "b", x: 240, y: 76 }];
    const lines = linesOf([one, other], [{ from: "a", to: "gone" }, { from: "a", to: "b" }]);
    expect([...lines]).toEqual([104, 44, 344, 76]);
  });

  it("is within the bounds of all nodes, which are never empty", () => {
    expect(boundsOf([])).toEqual({ x: 0, y: 0, width: 1, height: 1 });
    expect(boundsOf([{ id: "a", x: 5, y: 7 }])).toEqual({ x: 5, y: 7, ...NODE });
  });
});
