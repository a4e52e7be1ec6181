/** The clocks of a schedule as a form holds them, made from what Core serializes and turned into what the API takes. */

export const CLOCK_KINDS = ["cron", "interval", "rrule", "dates"] as const;
export type ClockKind = (typeof CLOCK_KINDS)[number];
export const UNITS = { seconds: 1, minutes: 60, hours: 3600, days: 86_400 } as const;
export type Unit = keyof typeof UNITS;

export type Draft = {
  kind: ClockKind;
  cron: string;
  every: string;
  unit: Unit;
  rrule: string;
  /** One date and time a line. */
  dates: string;
  timezone: string;
  /** Wall-clock time from which a cron or an interval counts; empty: from when it is saved. */
  start: string;
  /** JSON of an object; empty: none. */
  parameters: string;
  labels: string[] | null;
};

type Clock = Record<string, unknown>;
type Moment = { dt?: unknown; tz?: unknown };

export function newDraft(timezone: string): Draft {
  return {
    kind: "cron", cron: "0 9 * * 1-5", every: "1", unit: "hours", rrule: "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0",
    dates: "", timezone, start: "", parameters: "", labels: null,
  };
}

/** The drafts of a stored schedule; `left` counts clocks that only the flow's code can hold (sets of rules, filters). */
export function draftsOf(schedule: unknown, zone: string): { drafts: Draft[]; left: number } {
  const given = schedule !== null && typeof schedule === "object" ? (schedule as { clocks?: unknown }).clocks : null;
  const clocks = (Array.isArray(given) ? given : []) as Clock[];
  const drafts = clocks.map((clock) => draftOf(clock, zone)).filter((draft) => draft !== null);
  return { drafts, left: clocks.length - drafts.length };
}

function draftOf(clock: Clock, zone: string): Draft | null {
  const start = clock["start_date"] as Moment | null | undefined;
  const draft: Draft = {
    ...newDraft(text(start?.tz) || zone),
    parameters: emptyIfNothing(clock["parameter_defaults"]),
    labels: Array.isArray(clock["labels"]) ? clock["labels"].map(String) : null,
  };
  switch (clock["type"]) {
    case "CronClock":
      return { ...draft, kind: "cron", cron: text(clock["cron"]) };
    case "IntervalClock":
      // Core counts microseconds.
      return { ...draft, kind: "interval", start: text(start?.dt).slice(0, 19), ...inUnits(Number(clock["interval"]) / 1e6) };
    case "DatesClock":
      return datesDraft(draft, clock["dates"]);
    case "RRuleClock":
      return ruleDraft(draft, clock["rrule_obj"]);
    default:
      return null;
  }
}

function datesDraft(draft: Draft, given: unknown): Draft {
  const dates = (Array.isArray(given) ? given : []) as Moment[];
  const timezone = text(dates[0]?.tz) || draft.timezone;
  // Clocks have one zone: a date of another one keeps its instant by its offset where the API wrote it.
  return { ...draft, kind: "dates", timezone, dates: dates.map((date) => text(date.dt).slice(0, 19)).join("\n") };
}

function ruleDraft(draft: Draft, given: unknown): Draft | null {
  const rule = (given ?? {}) as { rr?: unknown; _tz?: unknown };
  if (typeof rule.rr !== "string") return null;
  return { ...draft, kind: "rrule", rrule: rule.rr, timezone: text(rule._tz) || draft.timezone };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function emptyIfNothing(value: unknown): string {
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) return "";
  return JSON.stringify(value);
}

/** Seconds in the largest unit of which they are a whole number. */
export function inUnits(seconds: number): { every: string; unit: Unit } {
  const unit = (["days", "hours", "minutes"] as const).find((each) => seconds >= UNITS[each] && seconds % UNITS[each] === 0) ?? "seconds";
  return { every: String(seconds / UNITS[unit]), unit };
}

/** Why a draft cannot be sent; null when it can. The server says the rest. */
export function draftError(draft: Draft): string | null {
  if (draft.kind === "interval" && !(Number(draft.every) > 0 && Number.isInteger(Number(draft.every) * UNITS[draft.unit]))) {
    return "An interval is a whole number of seconds, above zero.";
  }
  if (draft.kind === "dates" && lines(draft.dates).length === 0) return "Write at least one date and time, such as 2026-12-24T09:00.";
  if (draft.parameters.trim() === "") return null;
  try {
    const value: unknown = JSON.parse(draft.parameters);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return null;
  } catch {
    // Said below.
  }
  return 'Parameters are a JSON object, such as {"day": "yesterday"}.';
}

function lines(value: string): string[] {
  return value.split(/[\n,]/).map((line) => line.trim()).filter((line) => line !== "");
}

/** A draft as `preview_clock_input`, and as the clocks of `set_flow_group_schedule`. */
export function clockInput(draft: Draft): Record<string, unknown> {
  const starts = (draft.kind === "cron" || draft.kind === "interval" || draft.kind === "rrule") && draft.start !== "";
  return {
    ...(draft.kind === "cron" ? { cron: draft.cron.trim() } : {}),
    ...(draft.kind === "interval" ? { interval: Math.round(Number(draft.every) * UNITS[draft.unit]) } : {}),
    ...(draft.kind === "rrule" ? { rrule: draft.rrule.trim() } : {}),
    ...(draft.kind === "dates" ? { dates: lines(draft.dates) } : {}),
    timezone: draft.timezone,
    ...(starts ? { start_date: draft.start } : {}),
    ...(draft.parameters.trim() ? { parameter_defaults: JSON.parse(draft.parameters) as unknown } : {}),
    ...(draft.labels ? { labels: draft.labels } : {}),
  };
}

/** All drafts as the input of `set_flow_group_schedule`. */
export function scheduleInput(flowGroupId: string, drafts: readonly Draft[]) {
  const of = (kind: ClockKind) => drafts.filter((draft) => draft.kind === kind).map(clockInput);
  return {
    flow_group_id: flowGroupId,
    cron_clocks: of("cron"), interval_clocks: of("interval"), rrule_clocks: of("rrule"), dates_clocks: of("dates"),
  };
}
