import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { clockInput, draftError, draftsOf, inUnits, newDraft, scheduleInput } from "../src/lib/clocks";
import { diffLines, folded } from "../src/lib/diff";

describe("clocks in a form", () => {
  const start = { dt: "2026-01-01T00:00:00", tz: "Europe/Berlin" };

  it("are what Core serialized, each kind, with its zone", () => {
    const { drafts, left } = draftsOf(
      {
        clocks: [
          { type: "CronClock", cron: "0 2 * * *", start_date: start, parameter_defaults: { day: "today" }, labels: ["x"] },
          { type: "IntervalClock", interval: 5_400_000_000, start_date: start, parameter_defaults: {} },
          { type: "DatesClock", dates: [{ dt: "2026-12-24T09:00:00", tz: "Asia/Kolkata" }] },
          { type: "RRuleClock", rrule_obj: { type: "rrule", rr: "FREQ=DAILY", _tz: "UTC" } },
          { type: "RRuleClock", rrule_obj: { type: "rruleset" } },
        ],
      },
      "UTC",
    );
    expect(left).toBe(1);
    expect(drafts.map(clockInput)).toEqual([
      { cron: "0 2 * * *", timezone: "Europe/Berlin", parameter_defaults: { day: "today" }, labels: ["x"] },
      { interval: 5400, timezone: "Europe/Berlin", start_date: "2026-01-01T00:00:00" },
      { dates: ["2026-12-24T09:00:00"], timezone: "Asia/Kolkata" },
      { rrule: "FREQ=DAILY", timezone: "UTC" },
    ]);
    expect(drafts.map(draftError)).toEqual([null, null, null, null]);
  });

  it("go to the list of their kind", () => {
    const cron = newDraft("UTC");
    const input = scheduleInput("g", [cron, { ...cron, kind: "interval" }, { ...cron, cron: "5 4 * * *" }]);
    expect(input.cron_clocks.map((clock) => clock["cron"])).toEqual(["0 9 * * 1-5", "5 4 * * *"]);
    expect(input.interval_clocks).toHaveLength(1);
    expect(input.rrule_clocks).toEqual([]);
  });

  it("have intervals of any length in whole units", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 8 }), (seconds) => {
        const draft = { ...newDraft("UTC"), kind: "interval" as const, ...inUnits(seconds) };
        expect(draftError(draft)).toBeNull();
        expect(clockInput(draft)["interval"]).toBe(seconds);
      }),
    );
  });

  it.each([
    [{ kind: "interval" as const, every: "0" }],
    [{ kind: "interval" as const, every: "0.3", unit: "seconds" as const }],
    [{ kind: "interval" as const, every: "often" }],
    [{ kind: "dates" as const, dates: " \n" }],
    [{ parameters: "[1]" }],
    [{ parameters: "{" }],
  ])("that cannot be sent say why: %o", (change) => expect(draftError({ ...newDraft("UTC"), ...change })).toMatch(/[.]$/));
});

describe("what changed between two texts", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", ""), { maxLength: 12 }).map((lines) => lines.join("\n"));

  it("gives both back, whatever they are", () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        const lines = diffLines(one, other);
        expect(lines.filter((line) => line.kind !== "come").map((line) => line.text).join("\n")).toBe(one);
        expect(lines.filter((line) => line.kind !== "gone").map((line) => line.text).join("\n")).toBe(other);
      }),
    );
  });

  it("finds one line in a thousand and folds what is equal", () => {
    const before = Array.from({ length: 1000 }, (_, n) => `line ${n}`);
    const after = before.map((line, n) => (n === 500 ? "other" : line));
    expect(folded(diffLines(before.join("\n"), after.join("\n"))).map((line) => line.text)).toEqual([
      "497 equal lines", "line 497", "line 498", "line 499", "line 500", "other", "line 501", "line 502", "line 503",
      "496 equal lines",
    ]);
    expect(folded(diffLines("x", "x"))).toEqual([{ kind: "skip", text: "1 equal line" }]);
  });
});
