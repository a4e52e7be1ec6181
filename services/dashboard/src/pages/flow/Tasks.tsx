import { Link } from "@tanstack/react-router";

import { graphql } from "../../api/generated";
import { useLive } from "../../app/live";
import { Card, Empty, Loaded } from "../../components/basics";
import { Words } from "../../components/Facts";
import { Table } from "../../components/Table";

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
            <>
              <Table
                rows={tasks.slice(0, MOST)}
                keyOf={(task) => task.id}
                columns={[
                  {
                    name: "Task",
                    cell: (task) => (
                      <>
                        <Link to="/$slug/task/$id" params={{ slug, id: task.id }}>
                          {task.name ?? task.slug}
                        </Link>{" "}
                        <span className="quiet small">
                          {[task.mapped && "mapped", task.is_root_task && "first", task.is_reference_task && "decides the flow's state"].filter(Boolean).join(", ")}
                        </span>
                      </>
                    ),
                  },
                  { name: "Kind", cell: (task) => task.type?.split(".").pop() },
                  { name: "Starts when", cell: (task) => task.trigger?.split(".").pop()?.replaceAll("_", " ") },
                  { name: "Retries", as: "num", cell: (task) => task.max_retries },
                  { name: "Tags", cell: (task) => <Words words={task.tags} none="" /> },
                ]}
              />
              {tasks.length > MOST && <p className="small quiet">The first {MOST} of {tasks.length.toLocaleString("en")} tasks. The graph shows all.</p>}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
