import { FAMILIES, LATE_AFTER, statesOf, type Family } from "./states";

/**
 * The filters of the list of runs. They live in the address, so that a link, the Back button and a reload show the same
 * list. What is absent is not filtered; an empty list of states means none of them.
 */
export type RunFilters = {
  /** Part of the run's or the flow's name, or a whole id. */
  q?: string;
  /** Families of states, and "late". */
  is?: (Family | "late")[];
  project?: string;
  flow?: string;
  label?: string;
  /** Only what happened in the last so many hours. */
  hours?: number;
  /** Only what was due in this time: ISO instants, `to` excluded. */
  from?: string;
  to?: string;
};

const KINDS = new Set<string>([...FAMILIES, "late"]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Filters as they are in an address; what is wrong there is left out. */
export function filtersFrom(search: Record<string, unknown>): RunFilters {
  const filters: RunFilters = {};
  const q = text(search["q"]);
  if (q) filters.q = q;
  const is = search["is"];
  const kinds = (Array.isArray(is) ? is : typeof is === "string" ? is.split(",") : null)?.filter(
    (each): each is Family | "late" => KINDS.has(String(each)),
  );
  if (kinds?.length) filters.is = [...new Set(kinds)];
  for (const name of ["project", "flow"] as const) {
    const id = text(search[name]);
    if (id && UUID.test(id)) filters[name] = id;
  }
  const label = text(search["label"]);
  if (label) filters.label = label;
  const hours = Number(search["hours"]);
  if (Number.isFinite(hours) && hours > 0 && hours <= 24 * 366) filters.hours = hours;
  for (const name of ["from", "to"] as const) {
    const at = text(search[name]);
    if (at && /^\d{4}-\d\d-\d\dT/.test(at) && !Number.isNaN(Date.parse(at))) filters[name] = new Date(at).toISOString();
  }
  return filters;
}

function text(value: unknown): string | null {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value.trim() !== "" ? value.trim().slice(0, 200) : null;
}

/** A condition for `flow_run(where:)`. `now` in milliseconds. */
export function whereOf(filters: RunFilters, now: number): Record<string, unknown> {
  const all: Record<string, unknown>[] = [];
  if (filters.q) all.push(named(filters.q));
  if (filters.is) all.push({ _or: filters.is.map((kind) => inKind(kind, now)) });
  if (filters.project) all.push({ flow: { project_id: { _eq: filters.project } } });
  if (filters.flow) all.push({ flow_group_id: { _eq: filters.flow } });
  if (filters.label) all.push({ labels: { _contains: [filters.label] } });
  if (filters.hours) all.push(happened(filters.hours, now));
  if (filters.from) all.push({ scheduled_start_time: { _gte: filters.from } });
  if (filters.to) all.push({ scheduled_start_time: { _lt: filters.to } });
  return all.length === 0 ? {} : { _and: all };
}

/**
 * The same for the list of runs, which shows what has happened: runs of the future are in it only where waiting ones, or
 * a time to come, were asked for.
 */
export function listedOf(filters: RunFilters, now: number): Record<string, unknown> {
  const where = whereOf(filters, now);
  if (filters.is?.includes("waiting") || filters.to || (filters.q && UUID.test(filters.q))) return where;
  const due = { scheduled_start_time: { _lte: new Date(now + 1_000).toISOString() } };
  return Object.keys(where).length === 0 ? due : { _and: [where, due] };
}

function named(q: string): Record<string, unknown> {
  if (UUID.test(q)) {
    return { _or: [{ id: { _eq: q } }, { flow_id: { _eq: q } }, { flow_group_id: { _eq: q } }] };
  }
  const like = `%${q.replace(/[\\%_]/g, "\\$&")}%`;
  return { _or: [{ name: { _ilike: like } }, { flow: { name: { _ilike: like } } }] };
}

function inKind(kind: Family | "late", now: number): Record<string, unknown> {
  if (kind !== "late") return { state: { _in: statesOf(kind) } };
  const due = new Date(now - LATE_AFTER * 1000).toISOString();
  return { state: { _eq: "Scheduled" }, scheduled_start_time: { _lt: due } };
}

/** "Happened then" means its present state began then: a run of yesterday that failed now is in. */
function happened(hours: number, now: number): Record<string, unknown> {
  const from = new Date(now - hours * 3_600_000).toISOString();
  return { state_timestamp: { _gte: from } };
}
