import { absolute, dayOf, weekday } from "./time";

/** Days and weeks by the clock of a zone. Pure; times in milliseconds. Days may have 23 or 25 hours. */

const HOUR = 3_600_000;

/** Midnight before a time, or when the day begins where a change of clocks leaves no midnight. */
export function startOfDay(at: number, zone: string): number {
  const day = dayOf(at, zone);
  let low = at - 26 * HOUR;
  let high = at;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (dayOf(middle, zone) < day) low = middle;
    else high = middle;
  }
  return high;
}

/** When the day after the one of a time begins. */
export function dayAfter(at: number, zone: string): number {
  return startOfDay(startOfDay(at, zone) + 36 * HOUR, zone);
}

/** The Monday of a time's week. */
export function startOfWeek(at: number, zone: string): number {
  let day = startOfDay(at, zone);
  for (let back = 0; back < 6 && weekday(day, zone) !== "Mon"; back += 1) day = startOfDay(day - 1, zone);
  return day;
}

/** So many days that follow one another. */
export function daysFrom(from: number, count: number, zone: string): number[] {
  const days = [from];
  while (days.length < count) days.push(dayAfter(days.at(-1) ?? from, zone));
  return days;
}

/** Runs by the day and hour in which they are due: `2026-11-30 14`. In the order given. */
export function inHours<Run extends { scheduled_start_time: string }>(runs: readonly Run[], zone: string): Map<string, Run[]> {
  const hours = new Map<string, Run[]>();
  for (const run of runs) {
    const hour = absolute(Date.parse(run.scheduled_start_time), zone).slice(0, 13);
    const list = hours.get(hour);
    if (list) list.push(run);
    else hours.set(hour, [run]);
  }
  return hours;
}
