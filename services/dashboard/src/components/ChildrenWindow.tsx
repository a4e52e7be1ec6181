import { useQueries, type UseQueryOptions } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { MappedChildrenQuery } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import type { Interest } from "../lib/events";
import { nameOf } from "../lib/gantt";
import { isFinished } from "../lib/states";
import { took } from "../lib/time";
import { Problem, Took, When } from "./basics";
import { State } from "./State";

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
    }
  }
`);
const FAILED = graphql(`
  query FailedChildren($flow_run: uuid!, $task: uuid!) {
    task_run(
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
const PAGE = 200;
const HEIGHT = 34;
const COLUMNS = "minmax(140px, 2fr) 112px 104px 80px minmax(100px, 2fr)";
const NAMES = ["Task", "State", "Started", "Took", "Message"];
/** Children of a run that works are looked at again so often, in milliseconds, where no event tells of them. */
const EVERY = 15_000;

type Child = MappedChildrenQuery["task_run"][number];
type Props = {
  slug: string;
  flowRunId: string;
  taskId: string;
  task: { name: string | null; slug: string; mapped: boolean } | null;
  /** How many there are, as the run's summary counted them. */
  count: number;
};

/** The children of a mapped task: a window on all of them, which reads the pages that are seen. */
export function ChildrenWindow({ slug, flowRunId, taskId, task, count }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: Math.max(count, 1), getScrollElement: () => box.current, estimateSize: () => HEIGHT, overscan: 12 });
  const items = virtual.getVirtualItems();
  const first = Math.floor((items[0]?.index ?? 0) / PAGE);
  const last = Math.floor((items.at(-1)?.index ?? 0) / PAGE);
  const pages = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const answers = useQueries({ queries: pages.map((page) => pageOf(flowRunId, taskId, page)) });
  const failed = useLive(FAILED, { flow_run: flowRunId, task: taskId });
  const childAt = (index: number): Child | undefined => answers[Math.floor(index / PAGE) - first]?.data?.task_run[index % PAGE];
  const broken = answers.find((answer) => answer.error && !answer.data);
  return (
    <div>
      <Failed slug={slug} failed={failed.data?.task_run ?? []} />
      {broken?.error && <Problem error={broken.error} again={() => void broken.refetch()} />}
      <div role="table" aria-label={`Children of ${task?.name ?? task?.slug ?? "the task"}`} aria-rowcount={count + 1} className="scroll">
        <div role="presentation" style={{ minWidth: 620 }}>
          <div role="row" className="vhead" style={{ gridTemplateColumns: COLUMNS }}>
            {NAMES.map((name) => (
              <span role="columnheader" key={name}>
                {name}
              </span>
            ))}
          </div>
          <div ref={box} role="rowgroup" className="virtual" style={{ height: Math.min(420, Math.max(1, count) * HEIGHT + 2) }} tabIndex={0} aria-label="Mapped children">
            <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="presentation">
              {items.map((item) => {
                const child = childAt(item.index);
                return (
                  <div
                    key={item.key}
                    role="row"
                    aria-rowindex={item.index + 2}
                    className="vrow"
                    style={{ gridTemplateColumns: COLUMNS, height: HEIGHT, transform: `translateY(${item.start}px)` }}
                  >
                    {child ? <Cells slug={slug} child={child} name={nameOf({ ...child, task })} /> : <span role="cell" className="quiet">…</span>}
                  </div>
                );
              })}
            </div>
          </div>
        </div>
      </div>
    </div>
  );
}

function pageOf(flowRunId: string, taskId: string, page: number) {
  const interest: Interest = { kinds: new Set(["task_run"]), ids: new Set([flowRunId]) };
  return {
    queryKey: ["live", "children", flowRunId, taskId, page],
    queryFn: ({ signal }) => request(CHILDREN, { flow_run: flowRunId, task: taskId, offset: page * PAGE }, signal),
    meta: { interest },
    refetchInterval: ({ state }) => (state.data?.task_run.some((child) => !isFinished(child.state)) ? EVERY : false),
  } satisfies UseQueryOptions<MappedChildrenQuery>;
}

function Failed({ slug, failed }: { slug: string; failed: readonly { id: string; map_index: number }[] }) {
  if (failed.length === 0) return null;
  return (
    <p className="small">
      Failed:{" "}
      {failed.map((child) => (
        <Link key={child.id} to="/$slug/task-run/$id" params={{ slug, id: child.id }} style={{ marginRight: 8 }}>
          [{child.map_index}]
        </Link>
      ))}
    </p>
  );
}

function Cells({ slug, child, name }: { slug: string; child: Child; name: string }) {
  const { now } = usePreferences();
  return (
    <>
      <span role="cell" className="cut">
        <Link to="/$slug/task-run/$id" params={{ slug, id: child.id }}>
          {name}
        </Link>
      </span>
      <span role="cell">
        <State state={child.state} />
      </span>
      <span role="cell">
        <When at={child.start_time} />
      </span>
      <span role="cell">
        <Took ms={took(child.start_time, isFinished(child.state) ? child.end_time : null, now)} />
      </span>
      <span role="cell" className="small quiet cut" title={child.state_message ?? ""}>
        {child.state_message}
      </span>
    </>
  );
}
