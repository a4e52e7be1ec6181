import {
  Background, ControlButton, Controls, ReactFlow, useReactFlow, useStoreApi, type Edge as FlowEdge, type ReactFlowInstance, type ReactFlowState,
} from "@xyflow/react";
import { useEffect, useMemo, useRef, useState } from "react";

import type { Edge, Place } from "../lib/layers";
import { boundsOf, boxOf, linesOf, NODE, nodesIn, type View } from "../lib/sight";
import { FAMILIES, familyOf, type Family } from "../lib/states";
import { NODE_TYPES, nodeAt, type TaskData, type TaskNode } from "./GraphTask";

/** So many nodes are drawn as elements, which can be read and followed; more of them are too small to read anyway. */
const MOST = 250;
const NEAR = 0.9;

type Props = {
  places: readonly Place[];
  edges: readonly Edge[];
  dataOf: (id: string) => TaskData;
  colorMode: "light" | "dark";
  size: { width: number; height: number };
};

/**
 * A graph of thousands of tasks. The library is given the nodes that are seen and nothing else; edges, and all nodes
 * where one looks from afar, are drawn on a canvas below it. It begins where one can read: at the
 * task that the address names, at what failed or runs, or at the first task.
 */
export function WideGraph({ places, edges, dataOf, colorMode, size }: Props) {
  const bounds = useMemo(() => boundsOf(places), [places]);
  const lines = useMemo(() => linesOf(places, edges), [places, edges]);
  const begin = useMemo(() => viewAt(placeToRead(places, dataOf), size), [places]); // where it stands is the reader's from then on
  const [nodes, setNodes] = useState<TaskNode[]>(() => nodesOf(nodesIn(places, boxOf(begin, size), MOST), dataOf));
  const flow = useRef<ReactFlowInstance<TaskNode> | null>(null);
  const whole = Math.min(size.width / bounds.width, size.height / bounds.height);
  return (
    <ReactFlow
      nodes={nodes}
      edges={NO_EDGES}
      nodeTypes={NODE_TYPES}
      colorMode={colorMode}
      defaultViewport={begin}
      minZoom={Math.min(0.2, 0.8 * whole)}
      maxZoom={2}
      nodesConnectable={false}
      nodesFocusable={false}
      onInit={(instance) => {
        flow.current = instance;
      }}
      onPaneClick={(event) => {
        const at = flow.current?.screenToFlowPosition({ x: event.clientX, y: event.clientY });
        if (at && nodes.length === 0) void flow.current?.setCenter(at.x, at.y, { zoom: NEAR });
      }}
      proOptions={{ hideAttribution: false }}
    >
      <Background />
      <Seen places={places} dataOf={dataOf} show={setNodes} />
      <Sketch places={places} lines={lines} dataOf={dataOf} colorMode={colorMode} isFar={nodes.length === 0} />
      <Buttons bounds={bounds} />
    </ReactFlow>
  );
}

const NO_EDGES: FlowEdge[] = [];

function placeToRead(places: readonly Place[], dataOf: (id: string) => TaskData): Place | undefined {
  const inFamily = (family: Family) => places.find(({ id }) => familyOf(dataOf(id).state ?? "Pending") === family);
  return places.find(({ id }) => dataOf(id).isChosen) ?? inFamily("failed") ?? inFamily("running") ?? places[0];
}

function viewAt(place: Place | undefined, size: { width: number; height: number }): View {
  const { x, y } = place ?? { x: 0, y: 0 };
  return { x: size.width / 2 - (x + NODE.width / 2) * NEAR, y: size.height / 4 - y * NEAR, zoom: NEAR };
}

function nodesOf(found: readonly Place[] | null, dataOf: (id: string) => TaskData): TaskNode[] {
  return (found ?? []).map((place) => nodeAt(place, dataOf(place.id)));
}

function viewOf({ transform: [x, y, zoom] }: Pick<ReactFlowState, "transform">): View {
  return { x, y, zoom };
}

/** Runs `work` at the next frame after the viewport has moved or changed its size, and once at first. */
function useViewport(work: (view: View, size: { width: number; height: number }) => void): void {
  const store = useStoreApi();
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    let frame = 0;
    const plan = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        const state = store.getState();
        if (state.width > 0) latest.current(viewOf(state), state);
      });
    };
    plan();
    const forget = store.subscribe((now, before) => {
      if (now.transform !== before.transform || now.width !== before.width || now.height !== before.height) plan();
    });
    return () => {
      forget();
      cancelAnimationFrame(frame);
    };
  }, [store, work]);
}

/** Keeps the nodes those that are seen, and a little around them. */
function Seen({ places, dataOf, show }: Pick<Props, "places" | "dataOf"> & { show: (nodes: TaskNode[]) => void }) {
  const shown = useRef("");
  const work = useMemo(() => {
    shown.current = "";
    return (view: View, size: { width: number; height: number }) => {
      const box = boxOf(view, size);
      const key = `${box.left} ${box.top} ${box.right} ${box.bottom}`;
      if (key === shown.current) return;
      shown.current = key;
      show(nodesOf(nodesIn(places, box, MOST), dataOf));
    };
  }, [places, dataOf, show]);
  useViewport(work);
  return null;
}

type SketchProps = Pick<Props, "places" | "dataOf" | "colorMode"> & { lines: Float64Array; isFar: boolean };

/** The edges, and from afar the nodes as dots in the colours of their states. Clicking a place there goes near it. */
function Sketch({ places, lines, dataOf, colorMode, isFar }: SketchProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const groups = useMemo(() => byFamily(places, dataOf), [places, dataOf]);
  const work = useMemo(
    () => (view: View, size: { width: number; height: number }) => {
      const found = canvas.current;
      const context = found?.getContext("2d");
      if (!found || !context) return;
      const scale = window.devicePixelRatio || 1;
      const [width, height] = [Math.round(size.width * scale), Math.round(size.height * scale)];
      if (found.width !== width || found.height !== height) [found.width, found.height] = [width, height];
      const styles = getComputedStyle(found);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      context.setTransform(view.zoom * scale, 0, 0, view.zoom * scale, view.x * scale, view.y * scale);
      context.lineWidth = Math.max(1, 0.6 / view.zoom);
      context.strokeStyle = styles.getPropertyValue(isFar ? "--line" : "--quiet");
      drawLines(context, lines, boxOf(view, size, 1), !isFar);
      if (!isFar) return;
      for (const [family, shown] of groups) {
        context.fillStyle = styles.getPropertyValue(family === null ? "--quiet" : `--${family}`);
        context.beginPath();
        for (const { x, y } of shown) context.rect(x, y, NODE.width, NODE.height);
        context.fill();
      }
    },
    // The colours are read from the page, which has other ones in the other scheme.
    [lines, groups, isFar, colorMode],
  );
  useViewport(work);
  return <canvas ref={canvas} aria-hidden style={{ position: "absolute", inset: 0, width: "100%", height: "100%", zIndex: -1, pointerEvents: "none" }} />;
}

function byFamily(places: readonly Place[], dataOf: (id: string) => TaskData): Map<Family | null, Place[]> {
  // What failed is drawn last, above the others.
  const order: (Family | null)[] = [null, ...FAMILIES.filter((family) => family !== "failed"), "failed"];
  const groups = new Map(order.map((family) => [family, [] as Place[]] as const));
  for (const place of places) {
    const { state } = dataOf(place.id);
    groups.get(state === null ? null : familyOf(state))?.push(place);
  }
  return groups;
}

function drawLines(context: CanvasRenderingContext2D, lines: Float64Array, box: ReturnType<typeof boxOf>, isCurved: boolean): void {
  context.beginPath();
  for (let at = 0; at < lines.length; at += 4) {
    const [x1, y1, x2, y2] = lines.subarray(at, at + 4) as unknown as [number, number, number, number];
    if (Math.max(x1, x2) < box.left || Math.min(x1, x2) > box.right || Math.max(y1, y2) < box.top || Math.min(y1, y2) > box.bottom) continue;
    context.moveTo(x1, y1);
    const bend = Math.max(16, Math.abs(y2 - y1) / 2);
    if (isCurved) context.bezierCurveTo(x1, y1 + bend, x2, y2 - bend, x2, y2);
    else context.lineTo(x2, y2);
  }
  context.stroke();
}

function Buttons({ bounds }: { bounds: ReturnType<typeof boundsOf> }) {
  const { fitBounds } = useReactFlow();
  return (
    <Controls showInteractive={false} showFitView={false}>
      <ControlButton onClick={() => void fitBounds(bounds, { padding: 0.05 })} title="Show the whole graph" aria-label="Show the whole graph">
        <svg viewBox="0 0 16 16" aria-hidden>
          <path d="M1 5V1h4v2H3v2zm10-4h4v4h-2V3h-2zM1 11h2v2h2v2H1zm12 0h2v4h-4v-2h2z" />
        </svg>
      </ControlButton>
    </Controls>
  );
}
