import { Tabs } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";

import { graphql } from "../api/generated";
import type { FlowRunPageQuery } from "../api/generated/graphql";
import { useKey } from "../app/keys";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Card, Empty, Loaded, Page, Took, When } from "../components/basics";
import { Fact, Facts, Words } from "../components/Facts";
import { Gantt } from "../components/Gantt";
import { WhoCouldTake } from "../components/Late";
import { Logs } from "../components/Logs";
import { RunActions } from "../components/RunActions";
import { History } from "../components/History";
import { Json } from "../components/Parameters";
import { WhyLate } from "../components/runs";
import { State } from "../components/State";
import { Artifacts } from "../components/Artifacts";
import { Graph } from "../components/lazy";
import { TaskTable } from "../components/TaskTable";
import { nameOf, rowsOf } from "../lib/gantt";
import { familyOf, isFinished } from "../lib/states";
import { took } from "../lib/time";

const FLOW_RUN = graphql(`
  query FlowRunPage($id: uuid!) {
    flow_run_by_pk(id: $id) {
      id
      name
      version
      state
      state_message
      state_timestamp
      scheduled_start_time
      start_time
      end_time
      auto_scheduled
      times_resurrected
      late_reason
      labels
      parameters
      context
      run_config
      idempotency_key
      heartbeat
      log_lines_dropped
      flow_group_id
      agent {
        id
        name
      }
      flow {
        id
        name
        version
        archived
        project {
          id
          name
        }
      }
      task_runs(where: { map_index: { _lt: 0 } }, order_by: [{ created: asc }], limit: 3000) {
        id
        name
        map_index
        state
        state_message
        created
        start_time
        end_time
        waiting_reason
        task_id
        task {
          name
          slug
          mapped
        }
      }
      failed: task_runs(
        where: { state: { _in: ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed"] } }
        order_by: [{ end_time: asc_nulls_last }]
        limit: 5
      ) {
        id
        name
        map_index
        state
        state_message
        task {
          name
          slug
          mapped
        }
      }
      states(order_by: [{ version: desc }], limit: 200) {
        id
        state
        message
        timestamp
        version
      }
    }
  }
`);
const MAPPED = graphql(`
  query MappedSummary($id: uuid!) {
    mapped_summary(flow_run_id: $id) {
      task_id
      children
      state_counts
      first_failed_map_index
    }
  }
`);
type Run = NonNullable<FlowRunPageQuery["flow_run_by_pk"]>;

/** What happens in this run, and why did it fail? */
export function FlowRun() {
  const { slug, id } = useParams({ from: "/$slug/flow-run/$id" });
  const search = useSearch({ from: "/$slug/flow-run/$id" });
  const navigate = useNavigate({ from: "/$slug/flow-run/$id" });
  const query = useLive(FLOW_RUN, { id }, { isLive: (data) => !isFinished(data.flow_run_by_pk?.state ?? "Success") });
  return (
    <Loaded query={query} rows={14}>
      {({ flow_run_by_pk: run }) => {
        if (!run) {
          return (
            <Page title="Run not found">
              <Empty title="There is no such run here.">It may have been deleted, or be another tenant's.</Empty>
            </Page>
          );
        }
        return (
          <Page
            title={run.name}
            crumbs={
              <>
                {run.flow?.project && (
                  <Link to="/$slug/flows" params={{ slug }} search={{ project: run.flow.project.id }}>
                    {run.flow.project.name}
                  </Link>
                )}
                <Link to="/$slug/flow/$id" params={{ slug, id: run.flow_group_id }}>
                  {run.flow?.name}
                </Link>
                <span>version {run.flow?.version}</span>
              </>
            }
            actions={<RunActions slug={slug} run={run} />}
          >
            <Summary slug={slug} run={run} />
            <TabKeys open={(tab) => void navigate({ search: { tab } })} />
            <Tabs
              value={search.tab ?? (search.logId ? "logs" : "tasks")}
              onChange={(tab) => tab && void navigate({ search: { tab } })}
              keepMounted={false}
              mt="lg"
            >
              <Tabs.List>
                <Tabs.Tab value="tasks">Tasks</Tabs.Tab>
                <Tabs.Tab value="logs">Logs</Tabs.Tab>
                <Tabs.Tab value="graph">Graph</Tabs.Tab>
                <Tabs.Tab value="artifacts">Artifacts</Tabs.Tab>
                <Tabs.Tab value="history">History</Tabs.Tab>
                <Tabs.Tab value="parameters">Parameters</Tabs.Tab>
              </Tabs.List>
              <Tabs.Panel value="tasks" pt="md">
                <Tasks slug={slug} run={run} />
              </Tabs.Panel>
              <Tabs.Panel value="logs" pt="md">
                <div className="card">
                  <Logs of={{ flow_run_id: run.id }} isLive={!isFinished(run.state)} marked={search.logId} />
                  {run.log_lines_dropped > 0 && (
                    <p className="small">{run.log_lines_dropped} more lines came than one run may store; they were dropped.</p>
                  )}
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="graph" pt="md">
                <div className="card">{run.flow && <Graph slug={slug} flowId={run.flow.id} runs={run.task_runs} chosen={search.task} />}</div>
              </Tabs.Panel>
              <Tabs.Panel value="artifacts" pt="md">
                <div className="card">
                  <Artifacts slug={slug} where={{ task_run: { flow_run_id: { _eq: run.id } } }} />
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="history" pt="md">
                <div className="card">
                  <History states={run.states} />
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="parameters" pt="md">
                <div className="grid">
                  <Card title="Parameters" span={6}>
                    <Json value={run.parameters} label="parameters" />
                  </Card>
                  <Card title="Context" span={6}>
                    <Json value={run.context} label="context" />
                  </Card>
                  <Card title="Run configuration" span={12}>
                    <Json value={run.run_config} label="run configuration" />
                  </Card>
                </div>
              </Tabs.Panel>
            </Tabs>
          </Page>
        );
      }}
    </Loaded>
  );
}

function Summary({ slug, run }: { slug: string; run: Run }) {
  const { now } = usePreferences();
  const ran = took(run.start_time, isFinished(run.state) ? run.end_time : null, now);
  const waited = run.start_time
    ? Math.max(0, Date.parse(run.start_time) - Date.parse(run.scheduled_start_time))
    : null;
  return (
    <div className="grid">
      <section className="card span8" aria-label="State">
        <div className="row" style={{ marginBottom: 8 }} role="status">
          <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
          <span className="quiet small">
            <When at={run.state_timestamp} both />
          </span>
        </div>
        {run.state_message && (
          <div className="message wrap" style={{ borderLeftColor: `var(--${familyOf(run.state)})`, maxHeight: 200, overflow: "auto" }}>
            {run.state_message}
          </div>
        )}
        {run.late_reason && (
          <p>
            <b>Why it is late:</b> <WhyLate slug={slug} reason={run.late_reason} labels={run.labels} />
          </p>
        )}
        {run.state === "Scheduled" && <WhoCouldTake slug={slug} id={run.id} />}
        {run.failed.length > 0 && (
          <>
            <h2 className="gap">First failures</h2>
            {run.failed.map((task) => (
              <div key={task.id} className="message">
                <Link to="/$slug/task-run/$id" params={{ slug, id: task.id }}>
                  <b>{nameOf(task)}</b>
                </Link>{" "}
                <span className="quiet">{task.state}</span>
                <div className="wrap" style={{ maxHeight: 140, overflow: "auto" }}>
                  {task.state_message}
                </div>
              </div>
            ))}
          </>
        )}
      </section>
      <Card span={4}>
        <Facts>
          <Fact name="Due">
            <When at={run.scheduled_start_time} both />
          </Fact>
          <Fact name="Started">
            <When at={run.start_time} both />
          </Fact>
          <Fact name="Ended">
            <When at={isFinished(run.state) ? run.end_time : null} both />
          </Fact>
          <Fact name="Took">
            <Took ms={ran} />
            {waited !== null && waited > 1000 && (
              <span className="quiet">
                {" "}
                after <Took ms={waited} /> of waiting
              </span>
            )}
          </Fact>
          <Fact name="Agent">{run.agent && (run.agent.name ?? run.agent.id)}</Fact>
          <Fact name="Labels">
            <Words words={run.labels} />
          </Fact>
          <Fact name="Made by">{run.auto_scheduled ? "its schedule" : "a person or a client"}</Fact>
          <Fact name="Heartbeat">
            <When at={run.heartbeat} />
          </Fact>
          {run.times_resurrected > 0 && <Fact name="Lazarus">revived it {run.times_resurrected} times</Fact>}
        </Facts>
      </Card>
    </div>
  );
}

const TAB_KEYS = [["t", "Tasks"], ["l", "Logs"], ["d", "Graph"], ["a", "Artifacts"], ["h", "History"], ["p", "Parameters"]] as const;

/** A key for each tab. */
function TabKeys({ open }: { open: (tab: string) => void }) {
  return (
    <>
      {TAB_KEYS.map(([key, name]) => (
        <TabKey key={key} keys={key} name={name} open={open} />
      ))}
    </>
  );
}

function TabKey({ keys, name, open }: { keys: string; name: string; open: (tab: string) => void }) {
  useKey(keys, name, () => open(name.toLowerCase()));
  return null;
}

function Tasks({ slug, run }: { slug: string; run: Run }) {
  const { now } = usePreferences();
  const isMapped = run.task_runs.some((each) => each.state === "Mapped" || each.task?.mapped);
  const mapped = useLive(MAPPED, { id: run.id }, { enabled: isMapped, isLive: () => !isFinished(run.state) });
  const began = Date.parse(run.start_time ?? run.scheduled_start_time);
  const end = isFinished(run.state) && run.end_time ? Date.parse(run.end_time) : now;
  const rows = useMemo(() => rowsOf(run.task_runs, began, end), [run.task_runs, began, end]);
  if (run.task_runs.length === 0) {
    return (
      <div className="card">
        <Empty title="No task has begun." />
      </div>
    );
  }
  return (
    <div className="grid">
      <Card title="Timeline">
        <Gantt slug={slug} rows={rows} />
      </Card>
      <Card title="Tasks">
        <TaskTable slug={slug} flowRunId={run.id} runs={run.task_runs} mapped={mapped.data?.mapped_summary ?? []} />
      </Card>
    </div>
  );
}
