import { parseJson } from "../../api/json";
import type { AutomationsQuery } from "../../api/generated/graphql";
import { lookAtAll, send } from "../../app/live";
import { changesOf, conditionsOf, configOf, type Draft } from "../../lib/automations";
import {
  CREATE_ACTION, DELETE_ACTION, DELETE_HOOK, ON_AGENTS, ON_SLA, ON_STATE, SLA_CONFIG, SLA_OF_FLOW, UPDATE_HOOK,
} from "./documents";

export type Stored = AutomationsQuery["hook"][number];
/** What is edited: the row as it is stored, and its form before somebody touched it. */
export type Before = { row: Stored; draft: Draft };

/**
 * Store a form. What an action does and what a hook waits for cannot be changed in place, so those are made anew, and the
 * old ones go when the new ones are there: nothing is missed between, and a receiver hears of one event once.
 * Answers a warning; raises `Error` with the reason of a refusal, and then all is as it was.
 */
export async function save(draft: Draft, before?: Before): Promise<string | null> {
  const changes = before ? changesOf(before.draft, draft) : { action: true, event: true };
  try {
    if (before && !changes.action && !changes.event) {
      const conditions = draft.event === "AgentSLAFailedEvent" ? {} : { conditions: conditionsOf(draft, before.row.conditions) };
      await send(UPDATE_HOOK, { id: before.row.id, name: draft.name.trim(), isActive: draft.isActive, ...conditions });
      return null;
    }
    const kept = changes.action ? undefined : before?.row.action?.id;
    const made = kept === undefined ? await makeAction(draft) : null;
    const action = kept ?? made?.id;
    if (action === undefined) throw new Error("Headwater made no action, and did not say why.");
    try {
      const hook = await makeHook(draft, action, before?.row.conditions);
      if (!draft.isActive) await send(UPDATE_HOOK, { id: hook, isActive: false });
    } catch (reason) {
      // With the action goes what already waits for it.
      if (made) await send(DELETE_ACTION, { id: made.id }).catch(() => undefined);
      throw reason;
    }
    if (before) await drop(before.row, kept !== undefined);
    return made?.warning ?? null;
  } finally {
    await lookAtAll();
  }
}

/** Delete an automation: its hook, and its action where no other hook has the same one. */
export async function remove(row: Stored): Promise<void> {
  try {
    await drop(row, false);
  } finally {
    await lookAtAll();
  }
}

async function drop(row: Stored, keepsAction: boolean): Promise<void> {
  const isShared = (row.action?.hooks.length ?? 0) > 1;
  if (row.action && !keepsAction && !isShared) await send(DELETE_ACTION, { id: row.action.id });
  else await send(DELETE_HOOK, { id: row.id });
}

async function makeAction(draft: Draft): Promise<{ id: string; warning: string | null }> {
  const { create_action: made } = await send(CREATE_ACTION, { name: draft.name.trim(), config: configOf(draft, parseJson) as never });
  if (!made) throw new Error("Headwater made no action, and did not say why.");
  return made;
}

async function makeHook(draft: Draft, action: string, conditionsBefore: unknown): Promise<string> {
  const name = draft.name.trim();
  const conditions = conditionsOf(draft, conditionsBefore);
  let made: { id: string | null } | null;
  if (draft.event === "AgentSLAFailedEvent") {
    made = (await send(ON_AGENTS, { action, name, configs: draft.agentConfigs })).create_agent_sla_failed_hook;
  } else if (draft.event === "FlowSLAFailedEvent") {
    const configs = [await makeSla(draft)];
    made = (await send(ON_SLA, { action, name, configs, conditions })).create_flow_sla_failed_hook;
  } else {
    const flows = draft.flows.length > 0 ? draft.flows : null;
    made = (await send(ON_STATE, { action, name, states: draft.states, flows, conditions })).create_flow_run_state_changed_hook;
  }
  if (!made?.id) throw new Error("Headwater made no hook, and did not say why.");
  return made.id;
}

/** A promise for these flows. One that no hook names is collected by the server. */
async function makeSla({ slaKind, slaSeconds, flows }: Draft): Promise<string> {
  const { create_flow_sla_config: made } = await send(SLA_CONFIG, { kind: slaKind as never, seconds: slaSeconds });
  if (!made?.id) throw new Error("Headwater made no SLA, and did not say why.");
  for (const flow of flows) await send(SLA_OF_FLOW, { config: made.id, flow });
  return made.id;
}
