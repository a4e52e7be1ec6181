/** The 21 states of Prefect 1.x in six families: what a person has to tell apart at a glance. */

export const FAMILIES = ["waiting", "running", "success", "failed", "cancelled", "skipped"] as const;
export type Family = (typeof FAMILIES)[number];

const STATES: Record<Family, readonly string[]> = {
  waiting: ["Pending", "Scheduled", "Paused", "Resume", "Retrying", "Submitted", "Queued"],
  running: ["Running", "Cancelling"],
  success: ["Success", "Cached", "Mapped", "Finished", "Looped"],
  failed: ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "ClientFailed"],
  cancelled: ["Cancelled"],
  skipped: ["Skipped"],
};

const FAMILY_OF: ReadonlyMap<string, Family> = new Map(
  FAMILIES.flatMap((family) => STATES[family].map((state) => [state, family] as const)),
);

/** The family of a state; a state that nobody knows waits. */
export function familyOf(state: string): Family {
  return FAMILY_OF.get(state) ?? "waiting";
}

/** The states of a family, for a filter of the API. */
export function statesOf(family: Family): string[] {
  return [...STATES[family]];
}

const FINISHED = new Set([...STATES.success, ...STATES.failed, ...STATES.cancelled, ...STATES.skipped]);

/** Whether a run in this state changes no more. A mapped or looped task run still does. */
export function isFinished(state: string): boolean {
  return FINISHED.has(state) && state !== "Mapped" && state !== "Looped";
}

/** Seconds over its time after which a scheduled run is called late. */
export const LATE_AFTER = 20;

/** Whether a run is late: scheduled for a time that has passed, and nobody has taken it. */
export function isLate(state: string, scheduled: string | null | undefined, now: number): boolean {
  if (state !== "Scheduled" || !scheduled) return false;
  return now - Date.parse(scheduled) > LATE_AFTER * 1000;
}

/** What each family is called in filters and legends. */
export const FAMILY_NAMES: Record<Family, string> = {
  waiting: "Waiting",
  running: "Running",
  success: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  skipped: "Skipped",
};
