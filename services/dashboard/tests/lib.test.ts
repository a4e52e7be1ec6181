import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseJson, writeJson } from "../src/api/json";
import { filtersFrom, whereOf } from "../src/lib/filters";
import { canTake, unmatched } from "../src/lib/agents";
import { rowsOf, spanOf, ticksOf } from "../src/lib/gantt";
import { layers } from "../src/lib/layers";
import { safeUrl } from "../src/lib/links";
import { merge } from "../src/lib/logs";
import { isEqual, toFields, toParameters } from "../src/lib/parameters";
import { familyOf, isFinished, isLate } from "../src/lib/states";
import { absolute, duration, relative } from "../src/lib/time";

const NOW = Date.parse("2026-11-30T12:00:00Z");

describe("parameters", () => {
  it("go from JSON to the form and back unchanged", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (given) => {
        const value = parseJson(JSON.stringify(given)) as Record<string, unknown>;
        expect(isEqual(toParameters(toFields(value)), value)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("keep whole numbers that JavaScript cannot hold", () => {
    const text = '{"big":9223372036854775807,"small":-9007199254740993}';
    const value = parseJson(text) as Record<string, unknown>;
    expect(writeJson(toParameters(toFields(value)), 0)).toBe(text);
  });
});

describe("durations and times", () => {
  it.each([
    [0, "0 ms"], [999, "999 ms"], [4_250, "4.2 s"], [59_999, "59 s"], [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"], [273_600_000, "3 d 4 h"],
  ])("%d ms are %s", (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [0, "now"], [-20_000, "20 s ago"], [300_000, "in 5 min"], [-7_500_000, "2 h 5 min ago"],
  ])("%d ms away is %s", (away, text) => expect(relative(NOW + away, NOW)).toBe(text));

  it("name their zone", () => {
    expect(absolute(NOW, "UTC")).toBe("2026-11-30 12:00:00 UTC");
    expect(absolute(NOW, "Asia/Kolkata")).toMatch(/^2026-11-30 17:30:00 (GMT\+5:30|IST)$/);
  });
});

describe("states", () => {
  it("are in families, and unknown ones wait", () => {
    expect(familyOf("TriggerFailed")).toBe("failed");
    expect(familyOf("Cached")).toBe("success");
    expect(familyOf("SomethingNew")).toBe("waiting");
    expect(isFinished("Mapped")).toBe(false);
  });

  it("are late only when scheduled and past", () => {
    expect(isLate("Scheduled", "2026-11-30T11:59:30Z", NOW)).toBe(true);
    expect(isLate("Scheduled", "2026-11-30T11:59:50Z", NOW)).toBe(false);
    expect(isLate("Running", "2026-11-30T11:00:00Z", NOW)).toBe(false);
  });
});

describe("filters", () => {
  it("survive any address", () => {
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.anything()), (search) => {
      whereOf(filtersFrom(search), NOW);
    }));
  });

  it("mean nothing when nothing is chosen", () => expect(whereOf({}, NOW)).toEqual({}));

  it("take a name literally", () => {
    expect(JSON.stringify(whereOf({ q: "50%_x" }, NOW))).toContain("%50\\\\%\\\\_x%");
  });
});

describe("the timeline", () => {
  const task = { name: "t", slug: "t", mapped: false };
  const at = (second: number) => new Date(NOW + second * 1000).toISOString();
  const run = (id: string, start: number | null, end: number | null) => ({
    id, name: null, map_index: -1, state: end === null ? "Running" : "Success", created: at(-3600),
    start_time: start === null ? null : at(start), end_time: end === null ? null : at(end), task,
  });

  it("shows waiting from the start of the flow run, not from when it was planned", () => {
    const [row] = rowsOf([run("a", 5, 9)], NOW, NOW + 20_000);
    expect(row?.bars).toEqual([
      { from: NOW, to: NOW + 5_000, kind: "queued", state: "Success" },
      { from: NOW + 5_000, to: NOW + 9_000, kind: "ran", state: "Success" },
    ]);
  });

  it("has a span that can be divided by", () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.option(fc.integer()), fc.option(fc.integer()))), (times) => {
      const rows = rowsOf(times.map(([start, end], index) => run(String(index), start === null ? null : start % 1e6, end === null ? null : end % 1e6)), NOW, NOW);
      const span = spanOf(rows);
      expect(span.to).toBeGreaterThan(span.from);
      expect(ticksOf(span).length).toBeLessThanOrEqual(8);
    }));
  });
});

describe("the graph", () => {
  it("puts every task below what it follows, once, whatever the edges", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 30 }), fc.array(fc.tuple(fc.nat(40), fc.nat(40))), (count, pairs) => {
      const ids = Array.from({ length: count }, (_, index) => String(index));
      const edges = pairs.map(([from, to]) => ({ from: String(Math.min(from, to)), to: String(Math.max(from, to)) }));
      const places = new Map(layers(ids, edges).map((place) => [place.id, place]));
      expect(places.size).toBe(count);
      for (const { from, to } of edges) {
        const [above, below] = [places.get(from), places.get(to)];
        if (above && below && from !== to) expect(below.y).toBeGreaterThan(above.y);
      }
    }));
  });

  it("lays 10,000 tasks out in well under a second", () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => String(index));
    const edges = ids.slice(1).map((id, index) => ({ from: String(Math.floor(index / 3)), to: id }));
    expect(layers(ids, edges)).toHaveLength(10_000);
  });
});

describe("log lines", () => {
  const line = (id: string, timestamp: string, sequence: number) => ({
    id, timestamp, sequence, level: "INFO", name: null, message: id, task_run_id: null,
  });

  it("are each there once and in order, however they come", () => {
    const one = line("a", "2026-11-30T12:00:00.000001+00:00", 1);
    const two = line("b", "2026-11-30T12:00:00.000002+00:00", 9);
    const three = line("c", "2026-11-30T12:00:00.5+00:00", 2);
    const merged = merge(merge([three], [one, two]), [two, three]);
    expect(merged.map((each) => each.id)).toEqual(["a", "b", "c"]);
    expect(merge(merged, [two])).toBe(merged);
  });
});

describe("links from running code", () => {
  it.each(["javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x", "JaVaScRiPt:x", " https://x", "vbscript:x"])(
    "%s is not followed", (url) => expect(safeUrl(url, "/")).toBeUndefined(),
  );
  it.each(["https://a.example/b?c", "mailto:a@b.example", "/default/flow-run/1"])("%s is", (url) => expect(safeUrl(url, "/")).toBe(url));
  it.each([
    ["/default/flow-run/1", "/tools/hw/default/flow-run/1"],
    ["/tools/hw/default/flow-run/1", "/tools/hw/default/flow-run/1"],
    ["https://a.example/b", "https://a.example/b"],
  ])("%s is %s behind a proxy's path", (url, there) => expect(safeUrl(url, "/tools/hw/")).toBe(there));
});

describe("agents", () => {
  it("take runs whose labels they have; one with labels takes none without", () => {
    expect(canTake({ labels: ["a", "b"] }, ["a"])).toBe(true);
    expect(canTake({ labels: ["a"] }, [])).toBe(false);
    expect(canTake({ labels: [] }, [])).toBe(true);
    expect(unmatched([{ id: "1", labels: ["x"] }, { id: "2", labels: ["x"] }], [{ labels: ["y"] }])).toEqual([
      { labels: ["x"], runs: 2, first: "1" },
    ]);
  });
});
