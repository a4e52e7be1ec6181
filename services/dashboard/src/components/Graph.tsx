import { Background, Controls, ReactFlow } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { Skeleton, useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { Edge, Place } from "../lib/layers";
import { allRows } from "../lib/pages";
import { Empty, Loaded } from "./basics";
import { NODE_TYPES, nodeAt, type TaskData } from "./GraphTask";
import { WideGraph } from "./WideGraph";

const GRAPH = graphql(`
  query GraphOf($flow: uuid!) {
    task(where: { flow_id: { _eq: $flow } }, order_by: [{ id: asc }], limit: 10000) {
      ...TaskOfGraph
    }
    edge(where: { flow_id: { _eq: $flow } }, order_by: [{ id: asc }], limit: 10000) {
      ...EdgeOfGraph
    }
  }
  fragment TaskOfGraph on task {
    id
    name
    slug
    mapped
  }
  fragment EdgeOfGraph on edge {
    id
    upstream_task_id
    downstream_task_id
  }
`);
const MORE_TASKS = graphql(`
  query MoreTasksOfGraph($flow: uuid!, $after: uuid!) {
    task(where: { flow_id: { _eq: $flow }, id: { _gt: $after } }, order_by: [{ id: asc }], limit: 10000) {
      ...TaskOfGraph
    }
  }
`);
const MORE_EDGES = graphql(`
  query MoreEdgesOfGraph($flow: uuid!, $after: uuid!) {
    edge(where: { flow_id: { _eq: $flow }, id: { _gt: $after } }, order_by: [{ id: asc }], limit: 10000) {
      ...EdgeOfGraph
    }
  }
`);
/** The gateway answers no longer list: the rest comes page by page, up to `MOST` of each. */
const PAGE = 10_000;
const MOST = 100_000;

/** The tasks of a flow and what each waits for, all of them as far as anybody could look at. */
async function graphOf(flow: string, signal: AbortSignal) {
  const { task, edge } = await request(GRAPH, { flow }, signal);
  const [tasks, edges] = await Promise.all([
    allRows(task, { size: PAGE, most: MOST, next: async (after) => (await request(MORE_TASKS, { flow, after }, signal)).task }),
    allRows(edge, { size: PAGE, most: MOST, next: async (after) => (await request(MORE_EDGES, { flow, after }, signal)).edge }),
  ]);
  return { task: tasks.rows, edge: edges.rows, isCut: tasks.isCut || edges.isCut };
}

/** A graph with more tasks shows the part that is looked at; the library would take seconds for all of them. */
const WIDE = 300;

type Run = { id: string; state: string; task_id: string };
type Props = {
  slug: string;
  flowId: string;
  runs?: readonly Run[];
  /** The task that an address names: it is marked, and in the middle. */
  chosen?: string | undefined;
};
const NO_RUNS: readonly Run[] = [];

/** The tasks of a flow and how they depend on each other; with the states of a run when there is one. */
export function Graph({ slug, flowId, runs = NO_RUNS, chosen }: Props) {
  const query = useQuery({
    queryKey: ["graph", flowId],
    queryFn: ({ signal }) => graphOf(flowId, signal),
    staleTime: Infinity,
  });
  const edges = useMemo<Edge[]>(
    () => (query.data?.edge ?? []).map((edge) => ({ from: edge.upstream_task_id, to: edge.downstream_task_id })),
    [query.data],
  );
  const places = usePlaces(query.data?.task, edges);
  const colorMode = useComputedColorScheme("light");
  const box = useRef<HTMLDivElement>(null);
  const tasks = useMemo(() => new Map((query.data?.task ?? []).map((task) => [task.id, task] as const)), [query.data]);
  const run = useMemo(() => new Map(runs.map((each) => [each.task_id, each] as const)), [runs]);
  const dataOf = useCallback(
    (id: string): TaskData => {
      const [task, of] = [tasks.get(id), run.get(id)];
      return { name: task?.name ?? task?.slug ?? "task", mapped: task?.mapped ?? false, state: of?.state ?? null, run: of?.id ?? null, slug, isChosen: id === chosen };
    },
    [tasks, run, slug, chosen],
  );
  const isHere = places?.some(({ id }) => id === chosen) ?? false;
  useEffect(() => {
    if (isHere) box.current?.scrollIntoView({ block: "nearest" });
  }, [isHere]);
  return (
    <Loaded query={query}>
      {({ task, edge, isCut }) => {
        if (task.length === 0) return <Empty title="This flow has no tasks." />;
        const size = `${counted(task.length, "task")} and ${counted(edge.length, "dependency", "dependencies")}`;
        return (
          <>
            {isCut && <p className="note warns">This flow is larger than a graph can show. Drawn are its first {size}.</p>}
            <div ref={box} style={{ height: "min(70vh, 760px)" }} role="group" aria-label={`Graph of ${size}; the table of tasks says the same`}>
              {places === null && (
                <div role="status" aria-busy="true" aria-label="Laying out the graph" style={{ height: "100%" }}>
                  <Skeleton height="100%" radius="md" animate={false} />
                </div>
              )}
              {places && places.length > WIDE && (
                <WideGraph
                  places={places}
                  edges={edges}
                  dataOf={dataOf}
                  colorMode={colorMode}
                  size={{ width: box.current?.clientWidth ?? 900, height: box.current?.clientHeight ?? 600 }}
                />
              )}
              {places && places.length <= WIDE && <Whole places={places} edges={edges} dataOf={dataOf} colorMode={colorMode} chosen={isHere ? chosen : undefined} />}
            </div>
          </>
        );
      }}
    </Loaded>
  );
}

const counted = (count: number, one: string, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

type WholeProps = { places: readonly Place[]; edges: readonly Edge[]; dataOf: (id: string) => TaskData; colorMode: "light" | "dark"; chosen: string | undefined };

function Whole({ places, edges, dataOf, colorMode, chosen }: WholeProps) {
  const nodes = useMemo(() => places.map((place) => nodeAt(place, dataOf(place.id))), [places, dataOf]);
  const drawn = useMemo(() => edges.map(({ from, to }, index) => ({ id: `${index}`, source: from, target: to })), [edges]);
  return (
    <ReactFlow
      nodes={nodes}
      edges={drawn}
      nodeTypes={NODE_TYPES}
      colorMode={colorMode}
      fitView
      fitViewOptions={chosen ? { maxZoom: 1, nodes: [{ id: chosen }], padding: 1.5 } : { maxZoom: 1 }}
      minZoom={0.05}
      onlyRenderVisibleElements
      nodesConnectable={false}
      proOptions={{ hideAttribution: false }}
    >
      <Background />
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}

/** The layout, made off the main thread. */
function usePlaces(tasks: readonly { id: string }[] | undefined, edges: readonly Edge[]) {
  const [places, setPlaces] = useState<Place[] | null>(null);
  useEffect(() => {
    if (!tasks) return;
    const worker = new Worker(new URL("../lib/layers.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data: found }: MessageEvent<Place[]>) => setPlaces(found);
    worker.postMessage({ ids: tasks.map((task) => task.id), edges });
    return () => worker.terminate();
  }, [tasks, edges]);
  return places;
}
