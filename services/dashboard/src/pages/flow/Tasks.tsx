import { Link } from "@tanstack/react-router";

import { graphql } from "../../api/generated";
import { useLive } from "../../app/live";
import { Card, Empty, Loaded } from "../../components/basics";
import { Words } from "../../components/Facts";

const TASKS = graphql(`
  query TasksOfFlow($flow: uuid!) {
    task(where: { flow_id: { _eq: $flow } }, order_by: [{ created: asc }, { slug: asc }], limit: 3000) {
      id
      name
      slug
      type
      mapped
      max_retries
      trigger
      tags
      is_root_task
      is_reference_task
    }
  }
`);
const MOST = 500;

/** The tasks of a version; each leads to all of its runs. */
export function Tasks({ slug, flowId }: { slug: string; flowId: string }) {
  const query = useLive(TASKS, { flow: flowId });
  return (
    <Card>
      <Loaded query={query} rows={8}>
        {({ task: tasks }) =>
          tasks.length === 0 ? (
            <Empty title="This version has no tasks." />
          ) : (
            <div className="scroll">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Task</th>
                    <th scope="col">Kind</th>
                    <th scope="col">Starts when</th>
                    <th scope="col" className="num">Retries</th>
                    <th scope="col">Tags</th>
                  </tr>
                </thead>
                <tbody>
                  {tasks.slice(0, MOST).map((task) => (
                    <tr key={task.id}>
                      <td>
                        <Link to="/$slug/task/$id" params={{ slug, id: task.id }}>
                          {task.name ?? task.slug}
                        </Link>{" "}
                        <span className="quiet small">
                          {[task.mapped && "mapped", task.is_root_task && "first", task.is_reference_task && "decides the flow's state"].filter(Boolean).join(", ")}
                        </span>
                      </td>
                      <td>{task.type?.split(".").pop()}</td>
                      <td>{task.trigger?.split(".").pop()?.replaceAll("_", " ")}</td>
                      <td className="num">{task.max_retries}</td>
                      <td>
                        <Words words={task.tags} none="" />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {tasks.length > MOST && <p className="small quiet">The first {MOST} of {tasks.length.toLocaleString("en")} tasks. The graph shows all.</p>}
            </div>
          )
        }
      </Loaded>
    </Card>
  );
}
