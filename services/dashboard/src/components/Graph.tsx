import { Background, Controls, Handle, Position, ReactFlow, type Node, type NodeProps } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { Edge, Place } from "../lib/layers";
import { familyOf } from "../lib/states";
import { Empty, Loaded } from "./basics";
import { Shape } from "./State";

const TASKS = graphql(`
  query GraphOf($flow: uuid!) {
    task(where: { flow_id: { _eq: $flow } }, limit: 10000) {
      id
      name
      slug
      mapped
    }
    edge(where: { flow_id: { _eq: $flow } }, limit: 10000) {
      id
      upstream_task_id
      downstream_task_id
    }
  }
`);

type Run = { id: string; state: string; task_id: string };
type Props = { slug: string; flowId: string; runs?: readonly Run[] };
type TaskNode = Node<{ name: string; mapped: boolean; state: string | null; run: string | null; slug: string }, "task">;

const TYPES = { task: Task };

/** The tasks of a flow and how they depend on each other; with the states of a run when there is one. */
export function Graph({ slug, flowId, runs = [] }: Props) {
  const query = useQuery({
    queryKey: ["graph", flowId],
    queryFn: ({ signal }) => request(TASKS, { flow: flowId }, signal),
    staleTime: Infinity,
  });
  const places = usePlaces(query.data);
  const colorScheme = useComputedColorScheme("light");
  const nodes = useMemo<TaskNode[]>(() => {
    const tasks = new Map((query.data?.task ?? []).map((task) => [task.id, task] as const));
    const run = new Map(runs.map((each) => [each.task_id, each] as const));
    return (places ?? []).map(({ id, x, y }) => ({
      id,
      type: "task",
      position: { x, y },
      width: 208,
      height: 44,
      draggable: false,
      connectable: false,
      data: {
        name: tasks.get(id)?.name ?? tasks.get(id)?.slug ?? "task",
        mapped: tasks.get(id)?.mapped ?? false,
        state: run.get(id)?.state ?? null,
        run: run.get(id)?.id ?? null,
        slug,
      },
    }));
  }, [places, query.data, runs, slug]);
  const edges = useMemo(
    () => (query.data?.edge ?? []).map((edge) => ({ id: edge.id, source: edge.upstream_task_id, target: edge.downstream_task_id })),
    [query.data],
  );
  return (
    <Loaded query={query}>
      {(data) =>
        data.task.length === 0 ? (
          <Empty title="This flow has no tasks." />
        ) : (
          <div style={{ height: "min(70vh, 760px)" }} role="group" aria-label="Graph of the tasks; the table of tasks says the same">
            {places && (
              <ReactFlow
                nodes={nodes}
                edges={edges}
                nodeTypes={TYPES}
                colorMode={colorScheme}
                fitView
                fitViewOptions={{ maxZoom: 1 }}
                minZoom={0.05}
                onlyRenderVisibleElements
                nodesConnectable={false}
                proOptions={{ hideAttribution: false }}
              >
                <Background />
                <Controls showInteractive={false} />
              </ReactFlow>
            )}
          </div>
        )
      }
    </Loaded>
  );
}

/** The layout, made off the main thread. */
function usePlaces(data: { task: { id: string }[]; edge: { upstream_task_id: string; downstream_task_id: string }[] } | undefined) {
  const [places, setPlaces] = useState<Place[] | null>(null);
  useEffect(() => {
    if (!data) return;
    const worker = new Worker(new URL("../lib/layers.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data: found }: MessageEvent<Place[]>) => setPlaces(found);
    const edges: Edge[] = data.edge.map((edge) => ({ from: edge.upstream_task_id, to: edge.downstream_task_id }));
    worker.postMessage({ ids: data.task.map((task) => task.id), edges });
    return () => worker.terminate();
  }, [data]);
  return places;
}

function Task({ data }: NodeProps<TaskNode>) {
  const label = (
    <>
      {data.state && <Shape family={familyOf(data.state)} label={data.state} />}
      <span className="cut">{data.name}</span>
      {data.mapped && <span className="quiet small">×n</span>}
    </>
  );
  return (
    <div
      className="row small"
      style={{
        width: 208, height: 44, padding: "0 10px", flexWrap: "nowrap", background: "var(--paper)", color: "var(--ink)",
        border: `1px solid ${data.state ? `var(--${familyOf(data.state)})` : "var(--line)"}`, borderRadius: 8,
      }}
      title={data.name}
    >
      <Handle type="target" position={Position.Top} style={{ opacity: 0 }} />
      {data.run ? (
        <Link to="/$slug/task-run/$id" params={{ slug: data.slug, id: data.run }} className="row cut" style={{ flexWrap: "nowrap" }}>
          {label}
        </Link>
      ) : (
        label
      )}
      <Handle type="source" position={Position.Bottom} style={{ opacity: 0 }} />
    </div>
  );
}
