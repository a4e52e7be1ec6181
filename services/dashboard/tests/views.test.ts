import { expect, it } from "vitest";

import { filtersFrom, listedOf } from "../src/lib/filters";
import { levelsFrom, downloadOf } from "../src/lib/logs";
import { BUILT_IN, nameOf, viewsFrom, withView } from "../src/lib/views";
import { waitingText } from "../src/lib/waiting";

const NOW = Date.parse("2026-11-30T10:20:00Z");

it("keeps views, and takes nothing that is none", () => {
  const kept = withView([], { name: "mine", filters: { is: ["failed"], q: "etl" } });
  expect(viewsFrom(JSON.stringify(kept))).toEqual(kept);
  expect(withView(kept, { name: "mine", filters: {} })).toEqual([{ name: "mine", filters: {} }]);
  expect(viewsFrom('[{"name": 1}, null, {"name": "x", "filters": {"hours": "soon", "is": ["nowhere"]}}]')).toEqual([{ name: "x", filters: {} }]);
  expect([viewsFrom("no JSON"), viewsFrom(null), viewsFrom("{}")]).toEqual([[], [], []]);
});

it("knows a view by its filters, in whatever order", () => {
  expect(nameOf(BUILT_IN, { hours: 24, is: ["failed"] })).toBe("Failed in 24 hours");
  expect(nameOf(BUILT_IN, { hours: 23 })).toBe(null);
});

it("lists what has happened, and the future only where it is asked for", () => {
  const due = { scheduled_start_time: { _lte: "2026-11-30T10:20:01.000Z" } };
  expect(listedOf({}, NOW)).toEqual(due);
  expect(JSON.stringify(listedOf({ is: ["failed"] }, NOW))).toContain(JSON.stringify(due));
  expect(JSON.stringify(listedOf({ is: ["waiting"] }, NOW))).not.toContain("_lte");
  expect(JSON.stringify(listedOf({ to: "2026-12-01T00:00:00.000Z" }, NOW))).not.toContain("_lte");
});

it("reads times of an address, and leaves out what is none", () => {
  expect(filtersFrom({ from: "2026-11-30T09:00:00+01:00", to: "tomorrow" })).toEqual({ from: "2026-11-30T08:00:00.000Z" });
});

it("saves a log as it is filtered", () => {
  expect(downloadOf("r", { level: "DEBUG", text: "" }, "text", false)).toBe("api/flow-runs/r/logs?format=text");
  const filtered = downloadOf("r", { level: "ERROR", text: "a&b", taskRunId: "t" }, "ndjson", true);
  expect(filtered).toBe("api/flow-runs/r/logs?format=ndjson&gzip=true&level=ERROR%2CCRITICAL&text=a%26b&task_run_id=t");
  expect(levelsFrom("nonsense")).toEqual([]);
});

it("says why a task waits, and leaves words that it does not know alone", () => {
  expect(waitingText("upstream_unfinished", "extract, load")).toBe("It waits for extract, load.");
  expect(waitingText("something_new", "")).toBe(null);
});
