import { Button, SegmentedControl, Switch } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { writeJson } from "../api/json";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Table } from "../components/Table";
import { ACTIONS, draftOf, isActionType, SLA_KINDS, tagsOf, type SlaConfig } from "../lib/automations";
import { AGENT_CONFIGS, AUTOMATIONS, CREATE_ACTION, DELETE_HOOK, FLOW_NAMES, ON_STATE, SLA_CONFIGS, UPDATE_HOOK } from "./automations/documents";
import { Deliveries } from "./automations/Deliveries";
import { Form } from "./automations/Form";
import { remove, type Before, type Stored } from "./automations/save";
import { Test } from "./automations/Test";

/** What the ids in a hook are called; an id is its own name where that may not be read. */
type Names = { slas: ReadonlyMap<string, SlaConfig>; flow: (id: string) => string; config: (id: string) => string };

/** What is done when something happens, and what was sent? */
export function Automations() {
  const { tab, status } = useSearch({ from: "/$slug/automations" });
  const navigate = useNavigate({ from: "/$slug/automations" });
  const parts = (
    <SegmentedControl
      size="xs"
      aria-label="Which part"
      value={tab === "deliveries" ? "deliveries" : "rules"}
      onChange={(chosen) => void navigate({ search: chosen === "deliveries" ? { tab: "deliveries" } : {} })}
      data={[{ value: "rules", label: "Automations" }, { value: "deliveries", label: "Deliveries" }]}
    />
  );
  if (tab !== "deliveries") return <Rules parts={parts} />;
  return (
    <Page title="Automations" actions={parts}>
      <Deliveries
        status={status}
        choose={(chosen) => void navigate({ search: { tab: "deliveries", ...(chosen === undefined ? {} : { status: chosen }) }, replace: true })}
      />
    </Page>
  );
}

function Rules({ parts }: { parts: ReactNode }) {
  const { may } = useSession();
  const query = useLive(AUTOMATIONS, {});
  const [edited, setEdited] = useState<"new" | Before | null>(null);
  const [warning, setWarning] = useState<string | null>(null);
  const mayMake = may(CREATE_ACTION, ON_STATE);
  const make = mayMake && <Button onClick={() => setEdited("new")}>New automation</Button>;
  return (
    <Page title="Automations" actions={<>{parts}{make}</>}>
      {warning !== null && (
        <p className="note warns" role="status">
          {warning}
        </p>
      )}
      <div className="card">
        <Loaded query={query} rows={6}>
          {({ hook: rows }) =>
            rows.length === 0 ? (
              <Empty title="Nothing happens by itself yet.">
                <span>An automation writes to Slack when a run fails, calls a webhook when one is late, starts another flow, and more.</span>
                {make}
              </Empty>
            ) : (
              <List rows={rows} edit={setEdited} />
            )
          }
        </Loaded>
      </div>
      {edited !== null && <Form {...(edited === "new" ? {} : { before: edited })} close={() => setEdited(null)} onWarning={setWarning} />}
    </Page>
  );
}

function useNames(rows: readonly Stored[]): Names {
  const { may } = useSession();
  const slaIds = [...new Set(rows.flatMap((row) => tagsOf(row.event_tags, "flow_sla_config_id")))].sort();
  const slas = useLive(SLA_CONFIGS, { ids: slaIds }, { enabled: may("read:flow-sla") && slaIds.length > 0, keep: true });
  const bySla = new Map((slas.data?.flow_sla_config ?? []).map((each) => [each.id, each] as const));
  const flowIds = [
    ...new Set([
      ...rows.flatMap((row) => tagsOf(row.event_tags, "flow_group_id")),
      ...[...bySla.values()].flatMap((each) => each.flow_groups.map(({ flow_group_id }) => flow_group_id)),
    ]),
  ].sort();
  const flows = useLive(FLOW_NAMES, { ids: flowIds }, { enabled: may("read:flow") && flowIds.length > 0, keep: true });
  const byFlow = new Map((flows.data?.flow_group ?? []).map((each) => [each.id, each.name] as const));
  const hasAgents = rows.some((row) => row.event_type === "AgentSLAFailedEvent");
  const configs = useLive(AGENT_CONFIGS, {}, { enabled: may("read:agent") && hasAgents });
  const byConfig = new Map((configs.data?.agent_config ?? []).map((each) => [each.id, each.name ?? each.id] as const));
  return { slas: bySla, flow: (id) => byFlow.get(id) ?? id, config: (id) => byConfig.get(id) ?? id };
}

function List({ rows, edit }: { rows: readonly Stored[]; edit: (before: Before) => void }) {
  const { may } = useSession();
  const names = useNames(rows);
  const mayEdit = may(UPDATE_HOOK, CREATE_ACTION, ON_STATE, DELETE_HOOK);
  const slaOf = (row: Stored) => names.slas.get(tagsOf(row.event_tags, "flow_sla_config_id")[0] ?? "");
  return (
    <Table
      rows={rows}
      keyOf={(row) => row.id}
      columns={[
        { name: "On", cell: (row) => <OnOff row={row} /> },
        { name: "Name", cell: (row) => <b>{row.name ?? row.action?.name ?? "without a name"}</b> },
        { name: "When", cell: (row) => whenOf(row, names) },
        { name: "Does", cell: (row) => doesOf(row) },
        { name: "Made", cell: (row) => <When at={row.created} /> },
        {
          name: "",
          as: "acts",
          cell: (row) => (
            <span className="row">
              {row.action && <Test action={row.action.id} name={row.name ?? "without a name"} />}
              {mayEdit && (
                <Button
                  variant="default"
                  disabled={row.event_type === "FlowSLAFailedEvent" && slaOf(row) === undefined}
                  onClick={() => edit({ row, draft: draftOf(row, slaOf(row), (value) => writeJson(value)) })}
                >
                  Edit
                </Button>
              )}
              {may(DELETE_HOOK) && (
                <Confirmed label="Delete" title={`Delete ${row.name ?? "this automation"}?`} danger run={() => remove(row)}>
                  <p>It does nothing from then on. What it owes already is not sent.</p>
                </Confirmed>
              )}
            </span>
          ),
        },
      ]}
    />
  );
}

function OnOff({ row }: { row: Stored }) {
  const { may } = useSession();
  const [error, setError] = useState<string | null>(null);
  const turn = (isActive: boolean) =>
    void act(UPDATE_HOOK, { id: row.id, isActive }).then(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
  return (
    <>
      <Switch
        aria-label={`${row.name ?? "without a name"} is on`}
        checked={row.is_active}
        disabled={!may(UPDATE_HOOK)}
        onChange={(event) => turn(event.currentTarget.checked)}
      />
      {error && <p className="note fails" role="alert">{error}</p>}
    </>
  );
}

/** Words as a list in a sentence: "a, b or c". */
function either(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
}

function whenOf(row: Stored, names: Names): string {
  const [labels, projects] = [tagsOf(row.conditions, "labels"), tagsOf(row.conditions, "projects")];
  const only = `${labels.length > 0 ? `, with the labels ${labels.join(", ")}` : ""}${projects.length > 0 ? `, in ${either(projects)}` : ""}`;
  if (row.event_type === "AgentSLAFailedEvent") {
    return `All agents of ${either(tagsOf(row.event_tags, "agent_config_id").map(names.config))} are gone`;
  }
  if (row.event_type === "FlowSLAFailedEvent") {
    const sla = names.slas.get(tagsOf(row.event_tags, "flow_sla_config_id")[0] ?? "");
    if (!sla) return `A run breaks its SLA${only}`;
    const kind = sla.kind === "STARTED_NOT_FINISHED" ? "STARTED_NOT_FINISHED" : "SCHEDULED_NOT_STARTED";
    const flows = either(sla.flow_groups.map(({ flow_group_id }) => names.flow(flow_group_id)));
    const since = kind === "STARTED_NOT_FINISHED" ? "its start" : "its time";
    return `A run of ${flows} ${SLA_KINDS[kind]} ${sla.duration_seconds.toLocaleString("en")} s after ${since}${only}`;
  }
  const flows = tagsOf(row.event_tags, "flow_group_id").map(names.flow);
  return `A run of ${flows.length > 0 ? either(flows) : "any flow"} is ${either(tagsOf(row.event_tags, "state"))}${only}`;
}

function doesOf({ action }: Stored): string {
  if (!action) return "nothing: its action is gone";
  return isActionType(action.action_type) ? ACTIONS[action.action_type].does : action.action_type;
}
