import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseJson, writeJson } from "../src/api/json";
import { filtersFrom, whereOf } from "../src/lib/filters";
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
