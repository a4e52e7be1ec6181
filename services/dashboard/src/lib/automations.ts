/** Automations: when something happens, something is done. A hook says when, its action says what. Pure. */

import SAMPLES from "./sampleEvents.json";
import { FAMILIES, statesOf } from "./states";

export const EVENTS = {
  FlowRunStateChangedEvent: "A run enters a state",
  FlowSLAFailedEvent: "A run is late or takes too long",
  AgentSLAFailedEvent: "Agents are gone",
} as const;
export type EventType = keyof typeof EVENTS;

export const SLA_KINDS = {
  SCHEDULED_NOT_STARTED: "has not started",
  STARTED_NOT_FINISHED: "has not finished",
} as const;
export type SlaKind = keyof typeof SLA_KINDS;

/** A field of an action: how it is filled in. `lines` are many values; `secret` is the name of one. */
export type FieldKind = "text" | "template" | "lines" | "secret" | "json" | "severity" | "flow" | "labels";
export type Field = { name: string; label: string; kind: FieldKind; required?: boolean; hint?: string };
type About = { key: string; label: string; does: string; ofRuns: boolean; fields: readonly Field[] };

const MESSAGE: Field = { name: "message", label: "Message", kind: "template", hint: "Empty: the event's own sentence." };

/** The nine types of actions with their fields, by the name that a stored action has. */
export const ACTIONS = {
  SlackNotificationAction: {
    key: "slack_notification", label: "Slack message", does: "writes to Slack", ofRuns: false,
    fields: [{ name: "webhook_url_secret", label: "Secret with the webhook's address", kind: "secret", required: true }, MESSAGE],
  },
  TeamsWebhookNotificationAction: {
    key: "teams_webhook_notification", label: "Teams message", does: "writes to Teams", ofRuns: false,
    fields: [
      { name: "webhook_url_secret", label: "Secret with the webhook's address", kind: "secret", required: true },
      { name: "title", label: "Title", kind: "text" },
      MESSAGE,
    ],
  },
  EmailNotificationAction: {
    key: "email_notification", label: "E-mail", does: "sends an e-mail", ofRuns: false,
    fields: [
      { name: "to_emails", label: "To", kind: "lines", required: true, hint: "One address after the other." },
      { name: "subject", label: "Subject", kind: "text" },
      { ...MESSAGE, name: "body" },
    ],
  },
  WebhookAction: {
    key: "webhook", label: "Webhook", does: "calls a webhook", ofRuns: false,
    fields: [
      { name: "url", label: "Address", kind: "text", required: true },
      { name: "payload", label: "Body as JSON", kind: "json", hint: "Empty: the whole event. Texts in it may hold variables." },
      { name: "headers", label: "Headers as JSON", kind: "json" },
    ],
  },
  PagerDutyNotificationAction: {
    key: "pagerduty_notification", label: "PagerDuty alert", does: "alerts by PagerDuty", ofRuns: false,
    fields: [
      { name: "routing_key", label: "Routing key", kind: "text", required: true },
      { name: "severity", label: "Severity", kind: "severity", required: true },
      { name: "api_token_secret", label: "Secret with the API token", kind: "secret" },
      MESSAGE,
    ],
  },
  TwilioNotificationAction: {
    key: "twilio_notification", label: "Text message", does: "sends a text message", ofRuns: false,
    fields: [
      { name: "account_sid", label: "Account SID", kind: "text", required: true },
      { name: "auth_token_secret", label: "Secret with the auth token", kind: "secret", required: true },
      { name: "messaging_service_sid", label: "Messaging service SID", kind: "text", required: true },
      { name: "phone_numbers", label: "Phone numbers", kind: "lines", required: true },
      MESSAGE,
    ],
  },
  CancelFlowRunAction: {
    key: "cancel_flow_run", label: "Cancel the run", does: "cancels the run", ofRuns: true,
    fields: [{ ...MESSAGE, hint: "Why, in the run's history." }],
  },
  PauseScheduleAction: {
    key: "pause_schedule", label: "Pause a schedule", does: "pauses the schedule", ofRuns: true,
    fields: [{ name: "flow_group_id", label: "Of the flow", kind: "flow", hint: "Empty: the run's own." }],
  },
  CreateFlowRunAction: {
    key: "create_flow_run", label: "Start a run", does: "starts a run", ofRuns: true,
    fields: [
      { name: "flow_group_id", label: "Of the flow", kind: "flow", hint: "Empty: the run's own." },
      { name: "parameters", label: "Parameters as JSON", kind: "json" },
      { name: "labels", label: "Labels", kind: "labels" },
    ],
  },
} as const satisfies Record<string, About>;
export type ActionType = keyof typeof ACTIONS;

export function isActionType(name: string): name is ActionType {
  return Object.hasOwn(ACTIONS, name);
}

/** What of an action somebody fills in; its types. Actions on runs need a run, which an event of agents has not. */
export function actionsFor(event: EventType): ActionType[] {
  return (Object.keys(ACTIONS) as ActionType[]).filter((type) => event !== "AgentSLAFailedEvent" || !ACTIONS[type].ofRuns);
}

export function fieldsOf(type: ActionType): readonly Field[] {
  return ACTIONS[type].fields;
}

/** An automation as a form holds it. Texts of an action stand by the name of their field; `lines` one a line. */
export type Draft = {
  name: string;
  isActive: boolean;
  event: EventType;
  states: string[];
  flows: string[];
  slaKind: SlaKind;
  slaSeconds: number;
  agentConfigs: string[];
  labels: string[];
  projects: string[];
  action: ActionType;
  texts: Readonly<Record<string, string>>;
};

export const NEW: Draft = {
  name: "", isActive: true, event: "FlowRunStateChangedEvent", states: ["Failed", "TimedOut", "TriggerFailed"], flows: [],
  slaKind: "SCHEDULED_NOT_STARTED", slaSeconds: 60, agentConfigs: [], labels: [], projects: [], action: "SlackNotificationAction", texts: {},
};

/** A stored hook, with what it refers to. */
export type Hook = {
  id: string;
  name: string | null;
  event_type: string;
  event_tags: unknown;
  conditions: unknown;
  is_active: boolean;
  action: { id: string; name: string | null; action_type: string; action_config: unknown } | null;
};
export type SlaConfig = { id: string; kind: string; duration_seconds: number; flow_groups: readonly { flow_group_id: string }[] };

/** The texts of one field of something stored. */
export function tagsOf(tags: unknown, name: string): string[] {
  const found = typeof tags === "object" && tags !== null ? (tags as Record<string, unknown>)[name] : undefined;
  return Array.isArray(found) ? found.map(String) : [];
}

const BY_LOWER_CASE: ReadonlyMap<string, string> = new Map(FAMILIES.flatMap(statesOf).map((state) => [state.toLowerCase(), state]));

/** A state as we write it: the web UI of Cloud sends `Triggerfailed`. */
function canonical(state: string): string {
  return BY_LOWER_CASE.get(state.toLowerCase()) ?? state;
}

/** The form of a stored hook; of an SLA, what its config says. */
export function draftOf(hook: Hook, sla: SlaConfig | undefined, write: (value: unknown) => string): Draft {
  const type = hook.action?.action_type ?? "";
  const action = isActionType(type) ? type : NEW.action;
  const config = (hook.action?.action_config ?? {}) as Record<string, unknown>;
  const texts: Record<string, string> = {};
  for (const { name, kind } of fieldsOf(action)) {
    const value = config[name];
    if (value === null || value === undefined) continue;
    if (kind === "json") texts[name] = write(value);
    else texts[name] = Array.isArray(value) ? value.map(String).join("\n") : String(value);
  }
  return {
    ...NEW,
    name: hook.name ?? "",
    isActive: hook.is_active,
    event: Object.hasOwn(EVENTS, hook.event_type) ? (hook.event_type as EventType) : NEW.event,
    states: tagsOf(hook.event_tags, "state").map(canonical),
    flows: sla ? sla.flow_groups.map((each) => each.flow_group_id) : tagsOf(hook.event_tags, "flow_group_id"),
    slaKind: sla?.kind === "STARTED_NOT_FINISHED" ? "STARTED_NOT_FINISHED" : "SCHEDULED_NOT_STARTED",
    slaSeconds: sla?.duration_seconds ?? NEW.slaSeconds,
    agentConfigs: tagsOf(hook.event_tags, "agent_config_id"),
    labels: tagsOf(hook.conditions, "labels"),
    projects: tagsOf(hook.conditions, "projects"),
    action,
    texts,
  };
}

const linesOf = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

/** What `create_action` takes: one key with its fields; what is empty is left out. Throws for JSON that is none. */
export function configOf(draft: Draft, parse: (text: string) => unknown): Record<string, Record<string, unknown>> {
  const inner: Record<string, unknown> = {};
  for (const { name, label, kind } of fieldsOf(draft.action)) {
    const text = (draft.texts[name] ?? "").trim();
    if (text === "") continue;
    if (kind === "lines" || kind === "labels") inner[name] = linesOf(text);
    else if (kind === "json") {
      try {
        inner[name] = parse(text);
      } catch (reason) {
        throw new Error(`${label}: this is not JSON (${(reason as Error).message})`);
      }
    } else inner[name] = text;
  }
  return { [ACTIONS[draft.action].key]: inner };
}

/**
 * What a form lacks, as a sentence; null where it can be sent. An action that stays as it is stored is not looked at: an
 * address that was sealed never comes back.
 */
export function faultOf(draft: Draft, isActionKept = false): string | null {
  if (draft.name.trim() === "") return "Give it a name.";
  if (draft.event === "FlowRunStateChangedEvent" && draft.states.length === 0) return "Choose at least one state.";
  if (draft.event === "FlowSLAFailedEvent") {
    if (draft.flows.length === 0) return "Choose the flows whose runs are watched.";
    if (!Number.isInteger(draft.slaSeconds) || draft.slaSeconds < 1) return "Give the seconds, at least one.";
  }
  if (draft.event === "AgentSLAFailedEvent" && draft.agentConfigs.length === 0) return "Choose the agents, by the config that they share.";
  if (!actionsFor(draft.event).includes(draft.action)) return "An event of agents has no run to do this to: choose another action.";
  if (isActionKept) return null;
  const empty = fieldsOf(draft.action).find(({ name, required }) => required && (draft.texts[name] ?? "").trim() === "");
  return empty ? `${empty.label}: it is needed.` : null;
}

/** The conditions of a draft, over those that no form shows. */
export function conditionsOf(draft: Draft, before: unknown): Record<string, unknown> {
  const { labels: _labels, projects: _projects, ...others } = (before ?? {}) as Record<string, unknown>;
  return {
    ...others,
    ...(draft.labels.length > 0 ? { labels: draft.labels } : {}),
    ...(draft.projects.length > 0 ? { projects: draft.projects } : {}),
  };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** What an edit changes: the action and what it waits for are made anew, all else is changed in place. */
export function changesOf(before: Draft, after: Draft): { action: boolean; event: boolean } {
  const ofAction = ({ action, texts }: Draft) => [action, fieldsOf(action).map(({ name }) => (texts[name] ?? "").trim())];
  const ofEvent = ({ event, states, flows, slaKind, slaSeconds, agentConfigs }: Draft) =>
    event === "FlowRunStateChangedEvent" ? [event, states, flows]
    : event === "FlowSLAFailedEvent" ? [event, flows, slaKind, slaSeconds]
    : [event, agentConfigs];
  return { action: !same(ofAction(before), ofAction(after)), event: !same(ofEvent(before), ofEvent(after)) };
}

/** A message with a sample event's values, and the names in it that no such event has: they stay as they are written. */
export function preview(template: string, event: EventType): { text: string; unknown: string[] } {
  const values: Readonly<Record<string, string>> = SAMPLES[event];
  const unknown = new Set<string>();
  const text = (template.trim() === "" ? "{message}" : template).replace(/\{([A-Za-z_]{1,64})\}/g, (place, name: string) => {
    if (Object.hasOwn(values, name)) return values[name] ?? "";
    unknown.add(name);
    return place;
  });
  return { text, unknown: [...unknown] };
}

/** The variables of an event, in the order of its sample. */
export function variablesOf(event: EventType): string[] {
  return Object.keys(SAMPLES[event]);
}
