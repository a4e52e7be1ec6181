import { Button, Switch, Tabs } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import type { FlowPageQuery, TypedDocumentString } from "../api/generated/graphql";
import { act, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { useSession } from "../app/session";
import { Card, Confirmed, Copy, Empty, Loaded, Page, Took, When } from "../components/basics";
import { Graph, LazyMarkdown } from "../components/lazy";
import { Json } from "../components/Parameters";
import { Durations } from "../components/runs";
import { State } from "../components/State";
import { clocksOf, clockText } from "../lib/schedules";
import { isFinished } from "../lib/states";
import { took } from "../lib/time";

const FLOW = graphql(`
  query FlowPage($id: uuid!) {
    flow(
      where: { _or: [{ flow_group_id: { _eq: $id } }, { id: { _eq: $id } }] }
      order_by: [{ version: desc }]
      limit: 200
    ) {
      id
      name
      version
      archived
      created
      core_version
      description
      parameters
      is_schedule_active
      schedule
      late_reason
      storage
      run_config
      settings
      flow_group_id
      flow_group {
        id
        name
        description
        labels
        schedule
        default_parameters
        run_config
        settings
      }
      project {
        id
        name
      }
    }
    flow_run(
      where: { _or: [{ flow_group_id: { _eq: $id } }, { flow_id: { _eq: $id } }], state: { _neq: "Scheduled" } }
      order_by: [{ scheduled_start_time: desc }]
      limit: 40
    ) {
      ...RunOfFlow
    }
    next: flow_run(
      where: { _or: [{ flow_group_id: { _eq: $id } }, { flow_id: { _eq: $id } }], state: { _eq: "Scheduled" } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 10
    ) {
      ...RunOfFlow
    }
  }
  fragment RunOfFlow on flow_run {
    id
    name
    state
    state_message
    scheduled_start_time
    start_time
    end_time
  }
`);
const ON = graphql(`mutation ScheduleOn($id: UUID!) { set_schedule_active(input: { flow_id: $id }) { success error } }`);
const OFF = graphql(`mutation ScheduleOff($id: UUID!) { set_schedule_inactive(input: { flow_id: $id }) { success error } }`);
const ARCHIVE = graphql(`mutation Archive($id: UUID!) { archive_flow(input: { flow_id: $id }) { success error } }`);
const UNARCHIVE = graphql(`mutation Unarchive($id: UUID!) { unarchive_flow(input: { flow_id: $id }) { success error } }`);
type Settings = Record<string, unknown>;
type Switching = TypedDocumentString<object, { id: string }>;
const SAFEGUARDS: { name: string; text: string; on: Switching; off: Switching; isOn: (settings: Settings) => boolean }[] = [
  {
    name: "Heartbeats and the Zombie Killer",
    text: "A run that sends no sign of life for two minutes is a zombie: it fails, or is tried again.",
    on: graphql(`mutation HeartbeatOn($id: UUID!) { enable_flow_heartbeat(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation HeartbeatOff($id: UUID!) { disable_flow_heartbeat(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["heartbeat_enabled"] !== false,
  },
  {
    name: "Lazarus",
    text: "A run whose process is gone before a task ran is scheduled again, ten times at most.",
    on: graphql(`mutation LazarusOn($id: UUID!) { enable_flow_lazarus_process(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation LazarusOff($id: UUID!) { disable_flow_lazarus_process(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["lazarus_enabled"] !== false,
  },
  {
    name: "Version locking",
    text: "A state is refused when somebody else has changed the run meanwhile: your work runs once and only once.",
    on: graphql(`mutation LockOn($id: UUID!) { enable_flow_version_lock(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation LockOff($id: UUID!) { disable_flow_version_lock(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["version_locking_enabled"] === true,
  },
];

type Version = FlowPageQuery["flow"][number];
type Row = FlowPageQuery["next"][number];

/** How is this flow doing? */
export function Flow() {
  const { slug, id } = useParams({ from: "/$slug/flow/$id" });
  const search = useSearch({ from: "/$slug/flow/$id" });
  const query = useLive(FLOW, { id }, { isLive: (data) => data.flow_run.some((run) => !isFinished(run.state)) });
  return (
    <Loaded query={query} rows={14}>
      {(data) => {
        const flow =
          data.flow.find((each) => each.id === id) ??
          data.flow.find((each) => each.version === search.version) ??
          data.flow.find((each) => !each.archived) ??
          data.flow[0];
        if (!flow) {
          return (
            <Page title="Flow not found">
              <Empty title="There is no such flow here.">It may have been deleted, or be another tenant's.</Empty>
            </Page>
          );
        }
        return <Shown slug={slug} flow={flow} versions={data.flow} runs={data.flow_run} next={data.next} />;
      }}
    </Loaded>
  );
}

function Shown({ slug, flow, versions, runs, next }: { slug: string; flow: Version; versions: Version[]; runs: Row[]; next: Row[] }) {
  const { mayWrite } = useSession();
  return (
    <Page
      title={flow.name}
      crumbs={
        <>
          <Link to="/$slug/flows" params={{ slug }} search={flow.project ? { project: flow.project.id } : {}}>
            {flow.project?.name}
          </Link>
          <span>
            version {flow.version}
            {flow.archived && ", archived"}
          </span>
        </>
      }
      actions={
        <>
          <Copy text={flow.flow_group_id} label="Copy id" />
          {mayWrite && flow.archived && (
            <Confirmed label="Unarchive" title={`Unarchive version ${flow.version}?`} run={() => act(UNARCHIVE, { id: flow.id })}>
              <p>It can run again, and its schedule goes on.</p>
            </Confirmed>
          )}
          {mayWrite && !flow.archived && (
            <>
              <Confirmed label="Archive" title={`Archive version ${flow.version}?`} danger run={() => act(ARCHIVE, { id: flow.id })}>
                <p>Its schedule stops, and its {next.length} runs ahead go. Its history stays.</p>
              </Confirmed>
              <Button component={Link} to="/$slug/flow/$id/run" params={{ slug, id: flow.flow_group_id } as never}>
                Run
              </Button>
            </>
          )}
        </>
      }
    >
      {flow.late_reason && (
        <p className="message" style={{ borderLeftColor: "var(--waiting)" }}>
          Nothing is scheduled: {flow.late_reason}
        </p>
      )}
      <Tabs defaultValue="runs" keepMounted={false}>
        <Tabs.List>
          {["runs", "schedule", "versions", "graph", "readme", "parameters", "settings"].map((tab) => (
            <Tabs.Tab key={tab} value={tab}>
              {tab === "readme" ? "README" : tab[0]?.toUpperCase() + tab.slice(1)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="runs" pt="md">
          <div className="grid">
            <Card title="How long the last runs took" span={8}>
              <Durations slug={slug} runs={runs} />
            </Card>
            <Card title="Next" span={4}>
              <Next slug={slug} runs={next} />
            </Card>
            <Card title="Runs" more={<Link to="/$slug/runs" params={{ slug }} search={{ flow: flow.flow_group_id }}>All runs</Link>}>
              <RunRows slug={slug} runs={runs} />
            </Card>
          </div>
        </Tabs.Panel>
        <Tabs.Panel value="schedule" pt="md">
          <Schedule slug={slug} flow={flow} next={next} />
        </Tabs.Panel>
        <Tabs.Panel value="versions" pt="md">
          <Versions slug={slug} versions={versions} shown={flow} />
        </Tabs.Panel>
        <Tabs.Panel value="graph" pt="md">
          <div className="card">
            <Graph slug={slug} flowId={flow.id} />
          </div>
        </Tabs.Panel>
        <Tabs.Panel value="readme" pt="md">
          <div className="card">
            {flow.flow_group?.description ? (
              <LazyMarkdown text={flow.flow_group.description} />
            ) : (
              <Empty title="This flow has no README." />
            )}
          </div>
        </Tabs.Panel>
        <Tabs.Panel value="parameters" pt="md">
          <Parameters flow={flow} />
        </Tabs.Panel>
        <Tabs.Panel value="settings" pt="md">
          <SettingsOf flow={flow} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function RunRows({ slug, runs }: { slug: string; runs: Row[] }) {
  const { now } = usePreferences();
  if (runs.length === 0) return <Empty title="It has not run yet." />;
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">State</th>
            <th scope="col">Started</th>
            <th scope="col" className="num">Took</th>
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td>
                <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }}>
                  {run.name}
                </Link>
              </td>
              <td>
                <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
              </td>
              <td>
                <When at={run.start_time ?? run.scheduled_start_time} />
              </td>
              <td className="num">
                <Took ms={took(run.start_time, isFinished(run.state) ? run.end_time : null, now)} />
              </td>
              <td className="small quiet" style={{ maxWidth: 360 }}>
                <span className="cut" style={{ display: "block" }}>{run.state_message}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Next({ slug, runs }: { slug: string; runs: Row[] }) {
  if (runs.length === 0) return <p className="quiet">Nothing is scheduled.</p>;
  return (
    <table className="table">
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td>
              <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }}>
                <When at={run.scheduled_start_time} both />
              </Link>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Schedule({ slug, flow, next }: { slug: string; flow: Version; next: Row[] }) {
  const { mayWrite } = useSession();
  const [error, setError] = useState<string | null>(null);
  const ofGroup = flow.flow_group?.schedule ?? null;
  const clocks = clocksOf(ofGroup ?? flow.schedule);
  const turn = async (on: boolean) => {
    setError(null);
    try {
      await (on ? act(ON, { id: flow.id }) : act(OFF, { id: flow.id }));
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <div className="grid">
      <Card title="Schedule" span={6}>
        {clocks === null ? (
          <p className="quiet">This flow has no schedule: it runs when somebody asks.</p>
        ) : (
          <>
            <Switch
              label={flow.is_schedule_active ? "It is on" : "It is paused"}
              checked={flow.is_schedule_active}
              disabled={!mayWrite || flow.archived}
              onChange={(event) => void turn(event.currentTarget.checked)}
            />
            {error && <p className="message" role="alert">{error}</p>}
            <ul>
              {clocks.map((clock, index) => (
                <li key={index}>{clockText(clock)}</li>
              ))}
            </ul>
            <p className="small quiet">
              {ofGroup ? "Set here for all versions; it stands in place of the flow's own." : "It comes from the flow's code."}
            </p>
          </>
        )}
      </Card>
      <Card title="Next instants" span={6}>
        <Next slug={slug} runs={next} />
      </Card>
    </div>
  );
}

function Versions({ slug, versions, shown }: { slug: string; versions: Version[]; shown: Version }) {
  const navigate = useNavigate();
  const older = versions.find((each) => each.version < shown.version);
  return (
    <div className="grid">
      <Card title="Versions" span={6}>
        <table className="table">
          <tbody>
            {versions.map((each) => (
              <tr key={each.id}>
                <td>
                  <Button
                    size="compact-sm"
                    variant={each.id === shown.id ? "light" : "subtle"}
                    onClick={() =>
                      void navigate({ to: "/$slug/flow/$id", params: { slug, id: each.flow_group_id }, search: { version: each.version } })
                    }
                  >
                    Version {each.version}
                  </Button>
                </td>
                <td>{each.archived ? "archived" : "in use"}</td>
                <td>
                  <When at={each.created} />
                </td>
                <td className="quiet">Core {each.core_version ?? "?"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
      <Card title={older ? `What version ${shown.version} changed` : "What changed"} span={6}>
        {older ? <Differences from={older} to={shown} /> : <p className="quiet">There is no version before this one.</p>}
      </Card>
    </div>
  );
}

function Differences({ from, to }: { from: Version; to: Version }) {
  const parts = [
    ["schedule", from.schedule, to.schedule],
    ["parameters", from.parameters, to.parameters],
    ["storage", from.storage, to.storage],
    ["run configuration", from.run_config, to.run_config],
    ["Core", from.core_version, to.core_version],
  ].filter(([, one, other]) => JSON.stringify(one) !== JSON.stringify(other));
  if (parts.length === 0) return <p className="quiet">Nothing that Headwater stores beside its tasks.</p>;
  return (
    <dl>
      {parts.map(([name, one, other]) => (
        <div key={String(name)}>
          <dt>
            <b>{String(name)}</b>
          </dt>
          <dd className="mono wrap">
            <del>{JSON.stringify(one)}</del>
            <br />
            <ins>{JSON.stringify(other)}</ins>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Parameters({ flow }: { flow: Version }) {
  const defaults = (flow.flow_group?.default_parameters ?? {}) as Record<string, unknown>;
  const list = Array.isArray(flow.parameters) ? (flow.parameters as { name?: string; required?: boolean; default?: unknown }[]) : [];
  return (
    <div className="card scroll">
      {list.length === 0 ? (
        <Empty title="This flow takes no parameters." />
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Required</th>
              <th scope="col">Default</th>
              <th scope="col">Default of the group</th>
            </tr>
          </thead>
          <tbody>
            {list.map((each) => (
              <tr key={each.name}>
                <td>{each.name}</td>
                <td>{each.required ? "yes" : "no"}</td>
                <td className="mono">{JSON.stringify(each.default)}</td>
                <td className="mono">{each.name !== undefined && each.name in defaults ? JSON.stringify(defaults[each.name]) : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function SettingsOf({ flow }: { flow: Version }) {
  const { mayWrite } = useSession();
  const [error, setError] = useState<string | null>(null);
  const settings = { ...(flow.flow_group?.settings as Settings), ...(flow.settings as Settings) };
  return (
    <div className="grid">
      <Card title="Safeguards" span={6}>
        {SAFEGUARDS.map((safeguard) => {
          const isOn = Boolean(safeguard.isOn(settings));
          return (
            <Switch
              key={safeguard.name}
              mb="md"
              label={safeguard.name}
              description={safeguard.text}
              checked={isOn}
              disabled={!mayWrite}
              onChange={() =>
                void act(isOn ? safeguard.off : safeguard.on, { id: flow.id }).then(
                  () => setError(null),
                  (reason: Error) => setError(reason.message),
                )
              }
            />
          );
        })}
        <p className="small quiet">A change holds for runs that begin from now on.</p>
        {error && <p className="message" role="alert">{error}</p>}
      </Card>
      <Card title="Where it runs" span={6}>
        <Json value={flow.flow_group?.run_config ?? flow.run_config} label="run configuration" />
      </Card>
    </div>
  );
}
