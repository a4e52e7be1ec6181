import { Link } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import { useLive } from "../app/live";
import { When } from "./basics";
import { Shape } from "./State";

const AGENTS = graphql(`
  query WhoCouldTake($id: uuid!) {
    flow_run_agents(flow_run_id: $id) {
      agent_id
      name
      type
      could_take
      matches
      is_live
      missing_labels
      last_queried
    }
  }
`);

/** Which agents could take a run that waits, and what keeps the others from it. */
export function WhoCouldTake({ slug, id }: { slug: string; id: string }) {
  const { data } = useLive(AGENTS, { id });
  if (!data) return null;
  const agents = [...data.flow_run_agents].sort((one, other) => rank(other) - rank(one));
  const could = agents.filter((each) => each.could_take).length;
  return (
    <details className="small" open={could === 0}>
      <summary>
        {agents.length === 0
          ? "No agent has ever asked for work here."
          : `${could} of ${agents.length} ${agents.length === 1 ? "agent" : "agents"} could take it`}
      </summary>
      <ul className="agents">
        {agents.slice(0, 8).map((agent) => (
          <li key={agent.agent_id}>
            <Shape family={agent.could_take ? "success" : agent.matches ? "waiting" : "cancelled"} />{" "}
            <Link to="/$slug/agents" params={{ slug }}>
              {agent.name ?? agent.type}
            </Link>{" "}
            <span className="quiet">
              {!agent.matches
                ? `lacks ${(agent.missing_labels as string[]).join(", ") || "nothing, but takes no run without a label"}`
                : agent.is_live
                  ? "asks for work"
                  : "has its labels, but is silent"}
              {" · asked "}
              <When at={agent.last_queried} />
            </span>
          </li>
        ))}
        {agents.length > 8 && (
          <li className="quiet">
            and {agents.length - 8} more:{" "}
            <Link to="/$slug/agents" params={{ slug }}>
              see the agents
            </Link>
          </li>
        )}
      </ul>
    </details>
  );
}

function rank(agent: { could_take: boolean; matches: boolean; is_live: boolean }): number {
  return (agent.could_take ? 4 : 0) + (agent.matches ? 2 : 0) + (agent.is_live ? 1 : 0);
}
