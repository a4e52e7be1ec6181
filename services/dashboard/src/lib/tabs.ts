/** Which part of a page an address means: `?tab=` of ours, or the first key of a query of the old UI (`?logs`). */

export const FLOW_TABS = ["runs", "schedule", "tasks", "versions", "graph", "readme", "parameters", "settings"] as const;
export const TASK_RUN_TABS = ["logs", "children", "attempts", "inputs", "artifacts", "history", "result"] as const;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
type Search = Record<string, unknown>;

/** Tabs of the old UI and ours; what is not named here has the same name. */
const OLD_OF_FLOWS: Record<string, string> = {
  overview: "runs", description: "readme", schematic: "graph", automations: "runs",
  ...Object.fromEntries(FLOW_TABS.map((tab) => [tab, tab])),
};
const OLD_OF_RUNS: Record<string, string> = { schematic: "graph", logs: "logs", artifacts: "artifacts" };
const OLD_OF_TASK_RUNS: Record<string, string> = { logs: "logs", artifacts: "artifacts", "mapped-runs": "children" };

function tabOf(search: Search, old: Record<string, string>): { tab?: string } {
  const named = search["tab"];
  if (typeof named === "string" && named !== "") return { tab: named };
  const tab = old[Object.keys(search)[0] ?? ""];
  return tab === undefined ? {} : { tab };
}

function id<Name extends string>(name: Name, value: unknown): { [N in Name]?: string } {
  return (typeof value === "string" && UUID.test(value) ? { [name]: value } : {}) as { [N in Name]?: string };
}

/** Of a flow's page, and a task of its graph. `run` was a tab of the old UI; it is a page of its own here. */
export function flowSearch(search: Search): { tab?: string; version?: number; run?: true; task?: string } {
  const version = Number(search["version"]);
  return {
    ...tabOf(search, OLD_OF_FLOWS),
    ...(Number.isInteger(version) && version > 0 ? { version } : {}),
    ...id("task", search["task"] ?? search["schematic"]),
    ...(Object.keys(search)[0] === "run" ? { run: true as const } : {}),
  };
}

/** Of a flow run's page: a line of its log (`logId`) and a task of its graph (`task`). */
export function flowRunSearch(search: Search): { tab?: string; logId?: string; task?: string } {
  return { ...tabOf(search, OLD_OF_RUNS), ...id("logId", search["logId"]), ...id("task", search["task"] ?? search["schematic"]) };
}

/** Of a task run's page. */
export function taskRunSearch(search: Search): { tab?: string; logId?: string } {
  return { ...tabOf(search, OLD_OF_TASK_RUNS), ...id("logId", search["logId"]) };
}

/** Where the old UI's start page went: `?flows={text}` and `?calendar`. Null where it is ours. */
export function oldStart(search: Search): { to: "flows" | "calendar"; q?: string } | null {
  if ("calendar" in search) return { to: "calendar" };
  if (!("flows" in search)) return null;
  const q = search["flows"];
  return typeof q === "string" && q !== "" ? { to: "flows", q } : { to: "flows" };
}
