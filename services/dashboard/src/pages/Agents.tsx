import { Link, useParams } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { useSession } from "../app/session";
import { Card, Command, Confirmed, Empty, Loaded, Page, When } from "../components/basics";
import { Shape } from "../components/State";
import { agentStateOf, unmatched } from "../lib/agents";
import { LATE_AFTER } from "../lib/states";

const AGENTS = graphql(`
  query Agents($late: timestamptz!) {
    agent(order_by: [{ last_queried: desc_nulls_last }], limit: 1000) {
      id
      name
      type
      labels
      core_version
      last_queried
      created
    }
    waiting: flow_run(
      where: { state: { _eq: "Scheduled" }, scheduled_start_time: { _lt: $late } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 500
    ) {
      id
      labels
      late_reason
    }
  }
`);
const FORGET = graphql(`
  mutation ForgetAgent($id: UUID!) {
    delete_agent(input: { agent_id: $id }) {
      success
      error
    }
  }
`);
const NAMES = { live: "asks for work", stale: "silent for minutes", dead: "silent for long" } as const;

/** Who works? Live agents first; what nobody can take; the dead can be forgotten at once. */
export function Agents() {
  const { slug } = useParams({ from: "/$slug/agents" });
  const { now } = usePreferences();
  const { mayWrite } = useSession();
  const minute = Math.floor(now / 60_000) * 60_000;
  const query = useLive(AGENTS, { late: new Date(minute - LATE_AFTER * 1000).toISOString() }, { keep: true });
  return (
    <Page title="Agents">
      <Loaded query={query} rows={8}>
        {(data) => {
          const groups = { live: [], stale: [], dead: [] } as Record<keyof typeof NAMES, typeof data.agent>;
          for (const agent of data.agent) groups[agentStateOf(agent.last_queried, now)].push(agent);
          const alone = unmatched(data.waiting, groups.live);
          if (data.agent.length === 0) {
            return (
              <div className="card">
                <Empty title="No agent has ever asked for work.">
                  <span>Start one where your flows shall run:</span>
                  <Command text="prefect agent local start" />
                  <span>or Headwater's own, which starts runs within milliseconds:</span>
                  <Command text="headwater-agent start" />
                </Empty>
              </div>
            );
          }
          return (
            <div className="grid">
              {alone.length > 0 && (
                <Card title="Runs that no live agent can take">
                  <ul>
                    {alone.map(({ labels, runs, first }) => (
                      <li key={labels.join()}>
                        <Link to="/$slug/flow-run/$id" params={{ slug, id: first }}>
                          {runs} {runs === 1 ? "run" : "runs"}
                        </Link>{" "}
                        with {labels.length ? `the labels ${labels.join(", ")}` : "no labels (agents with labels do not take them)"}
                      </li>
                    ))}
                  </ul>
                </Card>
              )}
              {(["live", "stale", "dead"] as const).map(
                (kind) =>
                  groups[kind].length > 0 && (
                    <Card
                      key={kind}
                      title={`${groups[kind].length} ${NAMES[kind]}`}
                      more={
                        kind === "dead" &&
                        mayWrite && (
                          <Confirmed
                            label="Forget them all"
                            title={`Forget ${groups.dead.length} agents?`}
                            run={async () => {
                              for (const agent of groups.dead) await act(FORGET, { id: agent.id });
                            }}
                          >
                            <p>One that asks for work again comes back to this list by itself.</p>
                          </Confirmed>
                        )
                      }
                    >
                      <div className="scroll">
                        <table className="table">
                          <thead>
                            <tr>
                              <th scope="col">Agent</th>
                              <th scope="col">Labels</th>
                              <th scope="col">Last asked</th>
                              <th scope="col">Core</th>
                            </tr>
                          </thead>
                          <tbody>
                            {groups[kind].slice(0, 200).map((agent) => (
                              <tr key={agent.id}>
                                <td>
                                  <span className="row" style={{ flexWrap: "nowrap" }}>
                                    <Shape family={kind === "live" ? "success" : kind === "stale" ? "waiting" : "cancelled"} label={NAMES[kind]} />
                                    {agent.name ?? agent.id}
                                  </span>
                                  <span className="small quiet">{agent.type}</span>
                                </td>
                                <td>{Array.isArray(agent.labels) && agent.labels.length ? agent.labels.map(String).join(", ") : <span className="quiet">none</span>}</td>
                                <td>
                                  <When at={agent.last_queried} />
                                </td>
                                <td>{agent.core_version}</td>
                              </tr>
                            ))}
                          </tbody>
                        </table>
                      </div>
                    </Card>
                  ),
              )}
            </div>
          );
        }}
      </Loaded>
    </Page>
  );
}
