import { Tabs } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { useSession } from "../app/session";
import { Artifacts } from "../components/Artifacts";
import { Card, Confirmed, Copy, Empty, Loaded, Page, Took, When } from "../components/basics";
import { Logs } from "../components/Logs";
import { History } from "../components/History";
import { Json } from "../components/Parameters";
import { State } from "../components/State";
import { nameOf } from "../lib/gantt";
import { familyOf, isFinished } from "../lib/states";
import { took } from "../lib/time";


const TASK_RUN = graphql(`
  query TaskRunPage($id: uuid!) {
    task_run_by_pk(id: $id) {
      id
      name
      map_index
      version
      state
      state_message
      state_timestamp
      state_result
      start_time
      end_time
      created
      cache_key
      flow_run {
        id
        name
        flow_group_id
        flow {
          name
        }
      }
      task {
        id
        name
        slug
        mapped
        type
        tags
        max_retries
        trigger
        upstream_edges(limit: 50) {
          id
          upstream_task {
            id
            name
            slug
          }
        }
        downstream_edges(limit: 50) {
          id
          downstream_task {
            id
            name
            slug
          }
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
const SET = graphql(`
  mutation SetTaskRunState($states: [set_task_run_state_input!]!) {
    set_task_run_states(input: { states: $states }) {
      states {
        id
        status
        message
      }
    }
  }
`);

/** What did this one do? */
export function TaskRun() {
  const { slug, id } = useParams({ from: "/$slug/task-run/$id" });
  const { now } = usePreferences();
  const { mayWrite } = useSession();
  const query = useLive(TASK_RUN, { id }, { isLive: (data) => !isFinished(data.task_run_by_pk?.state ?? "Success") });
  return (
    <Loaded query={query} rows={12}>
      {({ task_run_by_pk: run }) => {
        if (!run) {
          return (
            <Page title="Task run not found">
              <Empty title="There is no such task run here.">It may have been deleted, or be another tenant's.</Empty>
            </Page>
          );
        }
        return (
          <Page
            title={nameOf(run)}
            crumbs={
              <>
                {run.flow_run && (
                  <>
                    <Link to="/$slug/flow/$id" params={{ slug, id: run.flow_run.flow_group_id }}>
                      {run.flow_run.flow?.name}
                    </Link>{" "}
                    /{" "}
                    <Link to="/$slug/flow-run/$id" params={{ slug, id: run.flow_run.id }}>
                      {run.flow_run.name}
                    </Link>
                  </>
                )}
              </>
            }
            actions={
              <>
                <Copy text={run.id} label="Copy id" />
                {mayWrite && run.state === "Paused" && (
                  <Confirmed
                    label="Approve"
                    title={`Let ${nameOf(run)} go on?`}
                    run={() =>
                      act(SET, {
                        states: [{ task_run_id: run.id, version: run.version, state: { type: "Resume", message: "Approved in the dashboard." } }],
                      }).then(refused)
                    }
                  >
                    <p>It goes on when its run is next looked at by an agent.</p>
                  </Confirmed>
                )}
              </>
            }
          >
            <div className="grid">
              <section className="card span8" aria-label="State">
                <div className="row" style={{ marginBottom: 8 }} role="status">
                  <State state={run.state} />
                  <span className="quiet small">
                    <When at={run.state_timestamp} both />
                  </span>
                </div>
                {run.state_message && (
                  <div className="message wrap" style={{ borderLeftColor: `var(--${familyOf(run.state)})`, maxHeight: 240, overflow: "auto" }}>
                    {run.state_message}
                  </div>
                )}
              </section>
              <Card span={4}>
                <dl className="facts">
                  <dt>Started</dt>
                  <dd>
                    <When at={run.start_time} both />
                  </dd>
                  <dt>Took</dt>
                  <dd>
                    <Took ms={took(run.start_time, isFinished(run.state) ? run.end_time : null, now)} />
                  </dd>
                  <dt>Retries</dt>
                  <dd>{run.task?.max_retries ?? 0} at most</dd>
                  <dt>Trigger</dt>
                  <dd>{run.task?.trigger?.split(".").pop()}</dd>
                  <dt>Tags</dt>
                  <dd>{Array.isArray(run.task?.tags) && run.task.tags.length ? run.task.tags.map(String).join(", ") : <span className="quiet">none</span>}</dd>
                  <dt>After</dt>
                  <dd>{run.task?.upstream_edges.map((edge) => edge.upstream_task?.name ?? edge.upstream_task?.slug).join(", ") || <span className="quiet">nothing</span>}</dd>
                  <dt>Before</dt>
                  <dd>{run.task?.downstream_edges.map((edge) => edge.downstream_task?.name ?? edge.downstream_task?.slug).join(", ") || <span className="quiet">nothing</span>}</dd>
                </dl>
              </Card>
            </div>
            <Tabs defaultValue="logs" keepMounted={false} mt="lg">
              <Tabs.List>
                <Tabs.Tab value="logs">Logs</Tabs.Tab>
                <Tabs.Tab value="artifacts">Artifacts</Tabs.Tab>
                <Tabs.Tab value="history">History</Tabs.Tab>
                <Tabs.Tab value="result">Result</Tabs.Tab>
              </Tabs.List>
              <Tabs.Panel value="logs" pt="md">
                <div className="card">
                  <Logs of={{ task_run_id: run.id }} isLive={!isFinished(run.state)} />
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="artifacts" pt="md">
                <div className="card">
                  <Artifacts slug={slug} where={{ task_run_id: { _eq: run.id } }} />
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="history" pt="md">
                <div className="card">
                  <History states={run.states} />
                </div>
              </Tabs.Panel>
              <Tabs.Panel value="result" pt="md">
                <Card title="Where its result is">
                  <Json value={run.state_result} label="result" />
                </Card>
              </Tabs.Panel>
            </Tabs>
          </Page>
        );
      }}
    </Loaded>
  );
}

function refused(data: { set_task_run_states: { states: { status: string; message: string | null }[] } | null }) {
  const [first] = data.set_task_run_states?.states ?? [];
  if (first && !["SUCCESS", "QUEUED"].includes(first.status)) throw new Error(first.message ?? first.status);
}
