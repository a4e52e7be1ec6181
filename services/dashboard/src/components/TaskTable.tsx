import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { usePreferences } from "../app/preferences";
import { nameOf } from "../lib/gantt";
import { familyOf, FAMILY_NAMES, isFinished, type Family } from "../lib/states";
import { took } from "../lib/time";
import { Took, When } from "./basics";
import { ChildrenWindow } from "./ChildrenWindow";
import { WhyWaiting } from "./runs";
import { Shape, State } from "./State";
import { TableFrame } from "./Table";
import { VirtualBody, type RowProps } from "./VirtualBody";

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

const HEADS = [{ name: "Task" }, { name: "State" }, { name: "Started" }, { name: "Took", as: "num" }, { name: "Message" }] as const;

type Mapped = { task_id: string; children: number; state_counts: unknown };

/** The tasks of a run; a mapped one is one row with its counts, and opens to its children. */
export function TaskTable({ slug, flowRunId, runs, mapped }: { slug: string; flowRunId: string; runs: readonly Run[]; mapped: readonly Mapped[] }) {
  const [opened, setOpened] = useState<string | null>(null);
  const mappedOf = (run: Run) => mapped.find((each) => each.task_id === run.task_id);
  // What is open below a row is a row of its own, as wide as the table.
  const rows = runs.flatMap((run) => [{ run, isOpen: false }, ...(opened === run.id ? [{ run, isOpen: true }] : [])]);
  return (
    <TableFrame heads={HEADS} rowCount={rows.length + 1}>
      <VirtualBody rows={rows} keyOf={({ run, isOpen }) => (isOpen ? `children of ${run.id}` : run.id)} estimate={34} columns={HEADS.length}>
        {({ run, isOpen }, row) =>
          isOpen ? (
            <tr key={`children of ${run.id}`} {...row}>
              <td colSpan={HEADS.length}>
                <ChildrenWindow slug={slug} flowRunId={flowRunId} taskId={run.task_id ?? ""} task={run.task} count={mappedOf(run)?.children ?? 0} />
              </td>
            </tr>
          ) : (
            <Row key={run.id} slug={slug} run={run} row={row}>
              {(run.state === "Mapped" || run.task?.mapped) && (
                <>
                  <Counts of={mappedOf(run)} />
                  <Button size="compact-xs" variant="subtle" onClick={() => setOpened(opened === run.id ? null : run.id)} aria-expanded={opened === run.id}>
                    {opened === run.id ? "Close" : "Children"}
                  </Button>
                </>
              )}
            </Row>
          )
        }
      </VirtualBody>
    </TableFrame>
  );
}

function Row({ slug, run, row, children }: { slug: string; run: Run; row: RowProps; children?: React.ReactNode }) {
  const { now } = usePreferences();
  return (
    <tr {...row}>
      <td>
        <span className="row">
          <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
            {nameOf(run)}
          </Link>
          {children}
        </span>
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
