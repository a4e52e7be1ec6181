import { describe, expect, it } from "vitest";

import { columnsOf, inWords, windowOf } from "../src/lib/histogram";
import { FAMILY_NAMES } from "../src/lib/states";

const NOW = Date.parse("2026-11-30T10:20:00Z");
const at = (text: string) => Date.parse(text);

describe("the window", () => {
  it("is the last day in whole hours, the same for an hour", () => {
    const window = windowOf({}, NOW);
    expect(window).toEqual({ from: at("2026-11-29T11:00:00Z"), to: at("2026-11-30T11:00:00Z"), by: "hour" });
    expect(windowOf({}, NOW + 30 * 60_000)).toEqual(window);
  });

  it("has days where hours would be too thin", () => {
    expect(windowOf({ hours: 168 }, NOW).by).toBe("day");
    expect(windowOf({ hours: 72 }, NOW).by).toBe("hour");
  });

  it("is what was chosen, and never empty", () => {
    const chosen = { from: "2026-11-30T09:00:00Z", to: "2026-11-30T10:00:00Z" };
    expect(windowOf(chosen, NOW)).toEqual({ from: at(chosen.from), to: at(chosen.to), by: "hour" });
    expect(windowOf({ from: chosen.to, to: chosen.from }, NOW).to).toBeGreaterThan(at(chosen.to));
  });
});

describe("the columns", () => {
  const window = windowOf({}, NOW);
  const bucket = (hour: string, state: string, count: number, is_more = false) => ({ bucket: `2026-11-30T${hour}:00:00+00:00`, state, count, is_more });

  it("are one for each hour, also where nothing ran, and lose no run", () => {
    const columns = columnsOf([bucket("03", "Success", 5), bucket("03", "TimedOut", 1), bucket("10", "Cached", 2)], window);
    expect(columns.length).toBe(24);
    expect(columns.reduce((sum, column) => sum + column.total, 0)).toBe(8);
    expect(columns[16]).toMatchObject({ from: at("2026-11-30T03:00:00Z"), total: 6 });
    expect(columns[16]?.counts).toMatchObject({ success: 5, failed: 1 });
  });

  it("say in words what they show, and that there is more", () => {
    const [column] = columnsOf([bucket("10", "Success", 10_000, true)], { ...window, from: at("2026-11-30T10:00:00Z") });
    expect(column && inWords(column, FAMILY_NAMES)).toBe("10,000+ runs: 10,000 succeeded");
  });

  it("hold days on which the clocks change", () => {
    const days = ["2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00", "2026-10-26T23:00:00+00:00"];
    const columns = columnsOf(
      days.map((day) => ({ bucket: day, state: "Success", count: 1, is_more: false })),
      { from: at("2026-10-24T22:00:00Z"), to: at("2026-10-27T23:00:00Z"), by: "day" },
    );
    expect(columns.slice(0, 3).map((column) => column.total)).toEqual([1, 1, 1]);
  });
});
