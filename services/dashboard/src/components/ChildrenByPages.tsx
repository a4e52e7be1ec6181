import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { graphql } from "../api/generated";
import { PagedRuns } from "./RunTable";

const CHILDREN = graphql(`
  query SiblingsOfTask($where: task_run_bool_exp!, $limit: Int!) {
    runs: task_run(where: $where, order_by: [{ map_index: asc }], limit: $limit) {
      id
      map_index
      state
      state_message
      start_time
      end_time
      waiting_reason
    }
  }
`);

type Props = {
  slug: string;
  flowRunId: string;
  taskId: string;
  /** Only those in one of these states. */
  states?: readonly string[];
  /** The one whose page this is. */
  shown?: string;
  empty: ReactNode;
};

/** The mapped children of one task in one run, by their index, read on page by page. */
export function ChildrenByPages({ slug, flowRunId, taskId, states, shown, empty }: Props) {
  return (
    <PagedRuns
      slug={slug}
      of={CHILDREN}
      where={{
        flow_run_id: { _eq: flowRunId }, task_id: { _eq: taskId }, map_index: { _gte: 0 },
        ...(states ? { state: { _in: [...states] } } : {}),
      }}
      after={(last) => ({ map_index: { _gt: last.map_index } })}
      about={[flowRunId]}
      named={[
        {
          name: "Index",
          cell: (run) =>
            run.id === shown ? (
              <b>[{run.map_index}]</b>
            ) : (
              <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
                [{run.map_index}]
              </Link>
            ),
        },
      ]}
      {...(shown ? { current: shown } : {})}
      empty={empty}
    />
  );
}
