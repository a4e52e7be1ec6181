/** Times and durations as people read them. The zone is a choice of the reader: theirs, UTC, or any of the IANA's. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds as "4.2 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return two(ms, MINUTE, "min", SECOND, "s");
  if (ms < DAY) return two(ms, HOUR, "h", MINUTE, "min");
  return two(ms, DAY, "d", HOUR, "h");
}

function two(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % big) / small);
  const whole = `${Math.floor(ms / big)} ${bigName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}

/** "in 5 min", "20 s ago", "now", for a time in milliseconds. */
export function relative(at: number, now: number): string {
  const away = Math.abs(at - now);
  if (away < 2 * SECOND) return "now";
  const text = duration(away < 10 * SECOND ? Math.round(away / SECOND) * SECOND : away).replace(/^(\d+)\.0 s/, "$1 s");
  const short = away >= HOUR ? text : text.replace(/ min .*/, " min");
  return at > now ? `in ${short}` : `${short} ago`;
}

/** Makers of texts by zone and purpose: to make one takes longer than to format a hundred times. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string, purpose: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${purpose} ${zone}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    formats.set(key, found);
  }
  return found;
}

/** An absolute time with its zone: "2026-11-30 14:05:09 UTC". */
export function absolute(at: number, zone: string): string {
  const parts = formatOf(zone, "absolute", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  }).formatToParts(at);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  const day = `${part("year")}-${part("month")}-${part("day")}`;
  return `${day} ${part("hour")}:${part("minute")}:${part("second")} ${part("timeZoneName")}`;
}

/** The time of day with milliseconds, for log lines: "14:05:09.123". */
export function clockTime(at: number, zone: string): string {
  const text = formatOf(zone, "clock", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
  }).format(at);
  return text.replace(",", ".");
}

/** The day of the week: "Mon". */
export function weekday(at: number, zone: string): string {
  return formatOf(zone, "weekday", { weekday: "short" }).format(at);
}

/** The zone of this browser. */
export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** Whether the browser knows this zone. */
export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The zone of an absolute time in a zone, as ISO day: "2026-11-30". */
export function dayOf(at: number, zone: string): string {
  return absolute(at, zone).slice(0, 10);
}

/** How long something took, or takes until now; null when it has not begun. */
export function took(
  start: string | null | undefined,
  end: string | null | undefined,
  now: number,
): number | null {
  if (!start) return null;
  return Math.max(0, (end ? Date.parse(end) : now) - Date.parse(start));
}

/** A mark on an axis of time: the day where marks are days apart, the time of day else. */
export function tickText(at: number, step: number, zone: string): string {
  const text = absolute(at, zone);
  if (step >= DAY || text.slice(11, 16) === "00:00") {
    return formatOf(zone, "day", { day: "numeric", month: "short" }).format(at);
  }
  return step < MINUTE ? text.slice(11, 19) : text.slice(11, 16);
}
