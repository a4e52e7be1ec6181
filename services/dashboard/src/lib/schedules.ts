import cronstrue from "cronstrue";

import { duration } from "./time";

type Clock = {
  type?: string;
  cron?: string;
  interval?: number;
  dates?: unknown[];
  rrule_obj?: { rr?: unknown };
  parameter_defaults?: unknown;
  labels?: unknown;
  start_date?: { tz?: string };
};

/** A schedule as Core serialises it, as a short sentence; null when there is none. */
export function scheduleText(schedule: unknown): string | null {
  const clocks = clocksOf(schedule);
  if (clocks === null) return null;
  if (clocks.length === 0) return "no clock: it never fires";
  const texts = clocks.map(clockText);
  return texts.length > 2 ? `${texts.slice(0, 2).join("; ")}; ${texts.length - 2} more` : texts.join("; ");
}

export function clocksOf(schedule: unknown): Clock[] | null {
  if (schedule === null || typeof schedule !== "object") return null;
  const { clocks } = schedule as { clocks?: unknown };
  return Array.isArray(clocks) ? (clocks as Clock[]) : null;
}

export function clockText(clock: Clock): string {
  const zone = clock.start_date?.tz;
  const where = zone && zone !== "UTC" ? ` (${zone})` : "";
  switch (clock.type) {
    case "CronClock":
      return `${cronText(clock.cron ?? "")}${where}`;
    case "IntervalClock":
      // Microseconds, as Core writes them.
      return `every ${duration((clock.interval ?? 0) / 1000)}${where}`;
    case "DatesClock":
      return `on ${clock.dates?.length ?? 0} dates`;
    case "RRuleClock":
      return typeof clock.rrule_obj?.rr === "string" ? `by the rule ${clock.rrule_obj.rr}` : "by a recurrence rule";
    default:
      return clock.type ?? "a clock of an unknown kind";
  }
}

export function cronText(cron: string): string {
  try {
    return cronstrue.toString(cron, { use24HourTimeFormat: true });
  } catch {
    return cron;
  }
}
