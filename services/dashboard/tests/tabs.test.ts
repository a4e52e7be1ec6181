import { describe, expect, it } from "vitest";

import { countsOf, durationsOf, failureRate, percentile } from "../src/lib/statistics";
import { flowRunSearch, flowSearch, oldStart, taskRunSearch } from "../src/lib/tabs";
import { tickText } from "../src/lib/time";

const ID = "0190a2b3-0000-7000-8000-000000000001";

describe("addresses of the old UI", () => {
  it.each([
    [{ overview: "" }, { tab: "runs" }],
    [{ description: "" }, { tab: "readme" }],
    [{ tasks: "" }, { tab: "tasks" }],
    [{ runs: "" }, { tab: "runs" }],
    [{ schematic: "" }, { tab: "graph" }],
    [{ schematic: ID }, { tab: "graph", task: ID }],
    [{ tab: "graph", task: ID }, { tab: "graph", task: ID }],
    [{ automations: "" }, { tab: "runs" }],
    [{ settings: "" }, { tab: "settings" }],
    [{ versions: "" }, { tab: "versions" }],
    [{ overview: "", version: 3 }, { tab: "runs", version: 3 }],
    [{ run: "" }, { run: true }],
    [{ version: "no" }, {}],
    [{ tab: "schedule", logs: "" }, { tab: "schedule" }],
  ])("a flow's %o is %o", (old, ours) => expect(flowSearch(old)).toEqual(ours));

  it.each([
    [{ schematic: "" }, { tab: "graph" }],
    [{ schematic: ID }, { tab: "graph", task: ID }],
    [{ logs: "" }, { tab: "logs" }],
    [{ logs: "", logId: ID }, { tab: "logs", logId: ID }],
    [{ logs: "", logId: "no id" }, { tab: "logs" }],
    [{ artifacts: "" }, { tab: "artifacts" }],
    [{ unknown: "" }, {}],
  ])("a run's %o is %o", (old, ours) => expect(flowRunSearch(old)).toEqual(ours));

  it("a task run's tabs are the same, its mapped runs are its siblings", () => {
    expect(taskRunSearch({ "mapped-runs": "" })).toEqual({ tab: "children" });
    expect(taskRunSearch({ logs: "", logId: ID })).toEqual({ tab: "logs", logId: ID });
  });

  it("the start page found flows and had the calendar", () => {
    expect(oldStart({ flows: "orders" })).toEqual({ to: "flows", q: "orders" });
    expect(oldStart({ calendar: "" })).toEqual({ to: "calendar" });
    expect(oldStart({})).toBeNull();
  });
});

describe("runs in numbers", () => {
  const run = (state: string, seconds: number | null) => ({
    state,
    start_time: "2026-11-30T12:00:00Z",
    end_time: seconds === null ? null : new Date(Date.parse("2026-11-30T12:00:00Z") + seconds * 1000).toISOString(),
  });

  it("are percentiles by the nearest rank", () => {
    expect(percentile([], 0.5)).toBeNull();
    expect(percentile([3], 0.95)).toBe(3);
    expect(percentile([4, 1, 3, 2], 0.5)).toBe(2);
    expect(percentile(Array.from({ length: 100 }, (_, n) => n + 1), 0.95)).toBe(95);
  });

  it("count only what ended in success or failure as a rate", () => {
    const runs = [run("Success", 1), run("Failed", 2), run("Cancelled", 3), run("Running", null)];
    expect(failureRate(runs)).toBe(0.5);
    expect(failureRate([run("Running", null)])).toBeNull();
    expect(durationsOf(runs)).toEqual([1000, 2000, 3000]);
    expect(countsOf(runs)).toEqual([["running", 1], ["success", 1], ["failed", 1], ["cancelled", 1]]);
  });
});

describe("marks on an axis of time", () => {
  it.each([
    ["2026-11-30T12:30:00Z", 3_600_000, "UTC", "12:30"],
    ["2026-11-30T12:30:05Z", 5_000, "UTC", "12:30:05"],
    ["2026-11-30T00:00:00Z", 3_600_000, "UTC", "30 Nov"],
    ["2026-11-30T12:00:00Z", 86_400_000, "UTC", "30 Nov"],
    ["2026-11-30T20:00:00Z", 86_400_000, "Asia/Kolkata", "1 Dec"],
  ])("%s by steps of %d in %s is %s", (at, step, zone, text) => expect(tickText(Date.parse(at), step, zone)).toBe(text));
});
