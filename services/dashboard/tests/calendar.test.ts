import { describe, expect, it } from "vitest";

import { dayAfter, daysFrom, inHours, startOfDay, startOfWeek } from "../src/lib/calendar";

const iso = (at: number) => new Date(at).toISOString();

describe("days by the clock of a zone", () => {
  it.each([
    ["2026-11-30T12:00:00Z", "UTC", "2026-11-30T00:00:00.000Z", 24],
    ["2026-11-30T20:00:00Z", "Asia/Kolkata", "2026-11-30T18:30:00.000Z", 24],
    // Clocks go forward: the day has 23 hours; and back: 25.
    ["2026-03-29T12:00:00Z", "Europe/Berlin", "2026-03-28T23:00:00.000Z", 23],
    ["2026-10-25T12:00:00Z", "Europe/Berlin", "2026-10-24T22:00:00.000Z", 25],
  ])("%s in %s began at %s and has %d hours", (at, zone, began, hours) => {
    const start = startOfDay(Date.parse(at), zone);
    expect(iso(start)).toBe(began);
    expect((dayAfter(start, zone) - start) / 3_600_000).toBe(hours);
  });

  it("make weeks of seven days from Monday, over a change of clocks", () => {
    const monday = startOfWeek(Date.parse("2026-10-25T12:00:00Z"), "Europe/Berlin");
    const days = daysFrom(monday, 7, "Europe/Berlin");
    expect(iso(monday)).toBe("2026-10-18T22:00:00.000Z");
    expect(days.map((day) => startOfDay(day, "Europe/Berlin"))).toEqual(days);
    expect(iso(dayAfter(days[6] ?? 0, "Europe/Berlin"))).toBe("2026-10-25T23:00:00.000Z");
  });

  it("hold runs by the hour in which they are due", () => {
    const runs = ["2026-11-30T23:30:00Z", "2026-11-30T23:45:00Z", "2026-12-01T00:10:00Z"].map((at) => ({ scheduled_start_time: at }));
    expect([...inHours(runs, "Europe/Berlin")].map(([hour, list]) => [hour, list.length])).toEqual([
      ["2026-12-01 00", 2], ["2026-12-01 01", 1],
    ]);
  });
});
