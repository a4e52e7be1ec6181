import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import { usePreferences } from "../app/preferences";
import { nameOf } from "../lib/gantt";
import { familyOf, FAMILY_NAMES, isFinished, type Family } from "../lib/states";
import { took } from "../lib/time";
import { Took, When } from "./basics";
import { WhyWaiting } from "./runs";
import { Shape, State } from "./State";

const CHILDREN = graphql(`
  query MappedChildren($flow_run: uuid!, $task: uuid!, $offset: Int!) {
    task_run(
      where: { flow_run_id: { _eq: $flow_run }, task_id: { _eq: $task }, map_index: { _gte: 0 } }
      order_by: [{ map_index: asc }]
      limit: 200
      offset: $offset
    ) {
      id
      name
      map_index
      state
      state_message
      start_time
      end_time
      task {
        name
        slug
        mapped
      }
    }
    failed: task_run(
      where: {
        flow_run_id: { _eq: $flow_run }
        task_id: { _eq: $task }
        map_index: { _gte: 0 }
        state: { _in: ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed"] }
      }
      order_by: [{ map_index: asc }]
      limit: 50
    ) {
      id
      map_index
    }
  }
`);

type Run = {
  id: string;
  name: string | null;
  map_index: number;
  state: string;
  state_message: string | null;
  start_time: string | null;
  end_time: string | null;
  waiting_reason?: string | null;
  task_id?: string;
  task: { name: string | null; slug: string; mapped: boolean } | null;
};

type Mapped = { task_id: string; state_counts: unknown };

/** The tasks of a run; a mapped one is one row with its counts, and opens to its children. */
export function TaskTable({ slug, flowRunId, runs, mapped }: { slug: string; flowRunId: string; runs: readonly Run[]; mapped: readonly Mapped[] }) {
  const [opened, setOpened] = useState<string | null>(null);
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Task</th>
            <th scope="col">State</th>
            <th scope="col">Started</th>
            <th scope="col" className="num">
              Took
            </th>
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <Row key={run.id} slug={slug} run={run}>
              {(run.state === "Mapped" || run.task?.mapped) && (
                <>
                  <Counts of={mapped.find((each) => each.task_id === run.task_id)} />
                  <Button size="compact-xs" variant="subtle" onClick={() => setOpened(opened === run.id ? null : run.id)} aria-expanded={opened === run.id}>
                    {opened === run.id ? "Close" : "Children"}
                  </Button>
                  {opened === run.id && run.task_id && <Children slug={slug} flowRunId={flowRunId} taskId={run.task_id} />}
                </>
              )}
            </Row>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ slug, run, children }: { slug: string; run: Run; children?: React.ReactNode }) {
  const { now } = usePreferences();
  return (
    <tr>
      <td>
        <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
          {nameOf(run)}
        </Link>
        {children}
      </td>
      <td>
        <State state={run.state} />
      </td>
      <td>
        <When at={run.start_time} />
      </td>
      <td className="num">
        <Took ms={took(run.start_time, isFinished(run.state) || run.state === "Mapped" ? run.end_time : null, now)} />
      </td>
      <td className="small quiet" style={{ maxWidth: 360 }}>
        {run.waiting_reason ? (
          <WhyWaiting slug={slug} reason={run.waiting_reason} />
        ) : (
          <span className="cut" style={{ display: "block" }} title={run.state_message ?? ""}>
            {run.state_message}
          </span>
        )}
      </td>
    </tr>
  );
}

/** How many children are in which family of states. */
function Counts({ of }: { of: Mapped | undefined }) {
  const counts = new Map<Family, number>();
  for (const [state, count] of Object.entries((of?.state_counts ?? {}) as Record<string, number>)) {
    counts.set(familyOf(state), (counts.get(familyOf(state)) ?? 0) + Number(count));
  }
  if (counts.size === 0) return null;
  return (
    <span className="row small">
      {[...counts].map(([family, count]) => (
        <span key={family} className="state">
          <Shape family={family} label={FAMILY_NAMES[family]} /> {count.toLocaleString("en")}
        </span>
      ))}
    </span>
  );
}

function Children({ slug, flowRunId, taskId }: { slug: string; flowRunId: string; taskId: string }) {
  const query = useInfiniteQuery({
    queryKey: ["live", "children", flowRunId, taskId],
    queryFn: ({ pageParam, signal }) => request(CHILDREN, { flow_run: flowRunId, task: taskId, offset: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => (last.task_run.length === 200 ? pages.length * 200 : undefined),
  });
  const pages = query.data?.pages ?? [];
  const failed = pages[0]?.failed ?? [];
  return (
    <div style={{ maxHeight: 420, overflow: "auto", marginTop: 8 }} tabIndex={0} aria-label="Mapped children">
      {failed.length > 0 && (
        <p className="small">
          Failed:{" "}
          {failed.map((child) => (
            <Link key={child.id} to="/$slug/task-run/$id" params={{ slug, id: child.id }} style={{ marginRight: 8 }}>
              [{child.map_index}]
            </Link>
          ))}
        </p>
      )}
      <table className="table">
        <tbody>
          {pages.flatMap((page) => page.task_run).map((child) => (
            <Row key={child.id} slug={slug} run={child} />
          ))}
        </tbody>
      </table>
      {query.hasNextPage && (
        <Button size="compact-sm" variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show 200 more
        </Button>
      )}
    </div>
  );
}
