import { Link } from "@tanstack/react-router";

import { graphql } from "../../api/generated";
import type { TaskRunPageQuery } from "../../api/generated/graphql";
import { useLive } from "../../app/live";
import { Card, Empty, Loaded } from "../../components/basics";
import { Json } from "../../components/Parameters";
import { State } from "../../components/State";
import { nameOf } from "../../lib/gantt";

const NEIGHBOURS = graphql(`
  query NeighboursOfTaskRun($flow_run: uuid!, $tasks: [uuid!]!, $indexes: [Int!]!) {
    task_run(
      where: { flow_run_id: { _eq: $flow_run }, task_id: { _in: $tasks }, map_index: { _in: $indexes } }
      order_by: [{ map_index: desc }]
      limit: 400
    ) {
      id
      name
      map_index
      state
      state_result
      task_id
      task {
        name
        slug
        mapped
      }
    }
  }
`);

type Run = NonNullable<TaskRunPageQuery["task_run_by_pk"]>;
type Task = NonNullable<Run["task"]>;

/** What came into this task run and what waits for it: the runs before and after, and where their results are. */
export function Inputs({ slug, run, task }: { slug: string; run: Run; task: Task }) {
  const ups = task.upstream_edges.flatMap((edge) => (edge.upstream_task ? [{ task: edge.upstream_task, key: edge.key, mapped: edge.mapped }] : []));
  const downs = task.downstream_edges.flatMap((edge) => (edge.downstream_task ? [{ task: edge.downstream_task, key: edge.key, mapped: edge.mapped }] : []));
  const query = useLive(NEIGHBOURS, {
    flow_run: run.flow_run?.id ?? run.id,
    tasks: [...new Set([...ups, ...downs].map((each) => each.task.id))],
    // A child's neighbours are the children of the same index where both are mapped, and whole tasks else.
    indexes: [...new Set([-1, run.map_index])],
  });
  return (
    <div className="grid">
      <Card title="Comes from" span={6}>
        <Loaded query={query} rows={3}>
          {({ task_run: runs }) => <Rows slug={slug} edges={ups} runs={runs} none="It needs nothing: it is among the first tasks." />}
        </Loaded>
      </Card>
      <Card title="Goes to" span={6}>
        <Loaded query={query} rows={3}>
          {({ task_run: runs }) => <Rows slug={slug} edges={downs} runs={runs} none="Nothing waits for it: it is among the last tasks." />}
        </Loaded>
      </Card>
    </div>
  );
}

type Edge = { task: { id: string; name: string | null; slug: string }; key: string | null; mapped: boolean };
type Neighbour = { id: string; name: string | null; map_index: number; state: string; state_result: unknown; task_id: string; task: Parameters<typeof nameOf>[0]["task"] };

function Rows({ slug, edges, runs, none }: { slug: string; edges: readonly Edge[]; runs: readonly Neighbour[]; none: string }) {
  if (edges.length === 0) return <Empty title={none} />;
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">Task</th>
          <th scope="col">As</th>
          <th scope="col">State</th>
          <th scope="col">Result</th>
        </tr>
      </thead>
      <tbody>
        {edges.map((edge, index) => {
          const run = runs.find((each) => each.task_id === edge.task.id);
          return (
            <tr key={index}>
              <td>
                {run ? (
                  <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
                    {nameOf(run)}
                  </Link>
                ) : (
                  (edge.task.name ?? edge.task.slug)
                )}
              </td>
              <td>
                {edge.key ? <code>{edge.key}</code> : <span className="quiet">order only</span>}
                {edge.mapped && <span className="quiet small"> one by one</span>}
              </td>
              <td>{run && <State state={run.state} />}</td>
              <td>
                <Result value={run?.state_result} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** Where a result is; the result itself stays where the flow put it. */
function Result({ value }: { value: unknown }) {
  const found = (value ?? {}) as { location?: unknown; type?: unknown; value?: unknown };
  if (value === null || value === undefined) return <span className="quiet">–</span>;
  if (typeof found.location === "string" && found.location !== "") return <span className="mono wrap">{found.location}</span>;
  if (found.type === "PrefectResult" && typeof found.value === "string") return <span className="mono wrap">{found.value.slice(0, 200)}</span>;
  return (
    <details className="more">
      <summary>{typeof found.type === "string" ? found.type : "shown"}</summary>
      <Json value={value} label="result" />
    </details>
  );
}
