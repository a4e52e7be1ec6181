import { Link, useParams } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import type { AgentsQuery } from "../api/generated/graphql";
import { actOnEach, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { useSession, useTenant } from "../app/session";
import { Card, Command, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Words } from "../components/Facts";
import { Shape } from "../components/State";
import { PauseButton } from "./PauseButton";
import { agentStateOf, canTake, labelsOf, unmatched } from "../lib/agents";
import { LATE_AFTER, type Family } from "../lib/states";

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

type Agent = AgentsQuery["agent"][number];
type Kind = "live" | "stale" | "dead";
const KINDS: Record<Kind, { title: string; note: string; family: Family }> = {
  live: { title: "Live", note: "asked for work within the last minute", family: "success" },
  stale: { title: "Silent", note: "asked last some minutes ago: busy, restarting, or cut off", family: "waiting" },
  dead: { title: "Gone", note: "have not asked for a quarter of an hour", family: "cancelled" },
};
/** Rows of a table that are drawn; who has more agents finds the rest by their labels. */
const MOST = 200;

/** Who works? Live agents first; what nobody can take; those that are gone can be forgotten at once. */
export function Agents() {
  const { slug } = useParams({ from: "/$slug/agents" });
  const tenant = useTenant(slug);
  const { now } = usePreferences();
  const minute = Math.floor(now / 60_000) * 60_000;
  const query = useLive(AGENTS, { late: new Date(minute - LATE_AFTER * 1000).toISOString() }, { keep: true });
  return (
    <Page title="Agents" actions={tenant && <PauseButton tenant={tenant.id} />}>
      <Loaded query={query} rows={8}>
        {(data) => (data.agent.length === 0 ? <NoAgents waiting={data.waiting.length} /> : <Shown slug={slug} data={data} />)}
      </Loaded>
    </Page>
  );
}

function NoAgents({ waiting }: { waiting: number }) {
  return (
    <div className="card">
      <Empty title="No agent has asked for work yet.">
        <span>{waiting > 0 ? `${waiting} runs wait for one. ` : ""}Start one where your flows shall run:</span>
        <Command text="prefect agent local start" />
        <span>or Headwater's own, which starts runs within milliseconds:</span>
        <Command text="headwater-agent start" />
      </Empty>
    </div>
  );
}

function Shown({ slug, data }: { slug: string; data: AgentsQuery }) {
  const { now } = usePreferences();
  const groups: Record<Kind, Agent[]> = { live: [], stale: [], dead: [] };
  for (const agent of data.agent) groups[agentStateOf(agent.last_queried, now)].push(agent);
  const alone = unmatched(data.waiting, groups.live);
  return (
    <div className="grid">
      {alone.length > 0 && (
        <Card title="Runs that no live agent can take">
          <div className="scroll">
            <table className="table">
              <tbody>
                {alone.map(({ labels, runs, first }) => (
                  <tr key={labels.join()}>
                    <td style={{ width: 120 }}>
                      <Link to="/$slug/flow-run/$id" params={{ slug, id: first }}>
                        {runs} {runs === 1 ? "run" : "runs"}
                      </Link>
                    </td>
                    <td>
                      <Words words={labels} none="without labels: agents that have some do not take them" />
                    </td>
                    <td className="acts">
                      <Command text={["prefect agent local start", ...labels.map((label) => `--label ${quoted(label)}`)].join(" ")} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Card>
      )}
      {(["live", "stale", "dead"] as const).map(
        (kind) => groups[kind].length > 0 && <Group key={kind} kind={kind} agents={groups[kind]} waiting={data.waiting} />,
      )}
    </div>
  );
}

/** A label as one word of a shell. */
function quoted(label: string): string {
  return /^[\w.:/@-]+$/.test(label) ? label : `'${label.replaceAll("'", String.raw`'\''`)}'`;
}

function Group({ kind, agents, waiting }: { kind: Kind; agents: readonly Agent[]; waiting: AgentsQuery["waiting"] }) {
  const { may } = useSession();
  const { title, note, family } = KINDS[kind];
  return (
    <Card
      title={`${title}: ${agents.length.toLocaleString("en")}`}
      more={kind === "dead" && may(FORGET) ? <ForgetAll agents={agents} /> : <span className="quiet small">{note}</span>}
    >
      <div className="scroll">
        <table className="table agents">
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">Kind</th>
              <th scope="col">Labels</th>
              <th scope="col">Last asked</th>
              <th scope="col" className="num">Late runs it could take</th>
              <th scope="col">Core</th>
            </tr>
          </thead>
          <tbody>
            {agents.slice(0, MOST).map((agent) => (
              <tr key={agent.id}>
                <td>
                  <span className="state">
                    <Shape family={family} label={title} /> {agent.name ?? agent.id}
                  </span>
                </td>
                <td>{agent.type.replace(/Agent$/, "")}</td>
                <td>
                  <Words words={agent.labels} />
                </td>
                <td>
                  <When at={agent.last_queried} />
                </td>
                <td className="num">{waiting.filter((run) => canTake(agent, labelsOf(run.labels))).length}</td>
                <td className="quiet">{agent.core_version}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {agents.length > MOST && <p className="small quiet">The {MOST} that asked last are shown.</p>}
      </div>
    </Card>
  );
}

function ForgetAll({ agents }: { agents: readonly Agent[] }) {
  const run = () => actOnEach(FORGET, agents.map(({ id }) => ({ id })));
  return (
    <Confirmed label="Forget them all" title={`Forget ${agents.length.toLocaleString("en")} agents?`} run={run}>
      <p>One that asks for work again comes back to this list by itself.</p>
    </Confirmed>
  );
}
