import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { Link } from "@tanstack/react-router";

import { NODE } from "../lib/sight";
import { familyOf } from "../lib/states";
import { Shape } from "./State";

export type TaskData = { name: string; mapped: boolean; state: string | null; run: string | null; slug: string; isChosen: boolean };
export type TaskNode = Node<TaskData, "task">;

export const NODE_TYPES = { task: Task };

/** A node that stays where the layout put it. Its size is given, so that nothing is measured before it is shown. */
export function nodeAt(place: { id: string; x: number; y: number }, data: TaskData): TaskNode {
  return {
    id: place.id,
    type: "task",
    position: { x: place.x, y: place.y },
    ...NODE,
    draggable: false,
    connectable: false,
    data,
  };
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
      className="row small node"
      style={{ ...NODE, ...(data.state ? { borderColor: `var(--${familyOf(data.state)})` } : {}) }}
      aria-current={data.isChosen}
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
