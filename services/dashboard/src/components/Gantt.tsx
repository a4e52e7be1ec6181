import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";

import { spanOf, ticksOf, type GanttRow } from "../lib/gantt";
import { familyOf } from "../lib/states";
import { duration } from "../lib/time";
import { Shape } from "./State";

const HEIGHT = 28;

/** When each task waited (hatched) and worked (filled). The table of tasks says the same in words. */
export function Gantt({ slug, rows }: { slug: string; rows: readonly GanttRow[] }) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => HEIGHT, overscan: 10 });
  const span = spanOf(rows);
  const length = span.to - span.from;
  const left = (at: number) => `${(100 * (at - span.from)) / length}%`;
  return (
    <figure style={{ margin: 0 }} aria-label="When each task waited and worked">
      <div className="gantt small quiet" style={{ paddingBottom: 4 }}>
        <span>Task</span>
        <span style={{ position: "relative", height: 18 }}>
          {ticksOf(span).map((tick) => (
            <span key={tick} style={{ position: "absolute", left: `${(100 * tick) / length}%` }}>
              {tick === 0 ? "0" : duration(tick)}
            </span>
          ))}
        </span>
      </div>
      <div ref={box} style={{ maxHeight: 420, overflow: "auto" }} tabIndex={0} aria-label="Rows of tasks">
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <div
                key={row.id}
                className="gantt"
                style={{ position: "absolute", left: 0, right: 0, height: HEIGHT, alignItems: "center", transform: `translateY(${item.start}px)` }}
              >
                <Link to="/$slug/task-run/$id" params={{ slug, id: row.id }} className="cut row" title={row.name} style={{ flexWrap: "nowrap" }}>
                  <Shape family={familyOf(row.note)} label={row.note} /> <span className="cut">{row.name}</span>
                </Link>
                <span style={{ position: "relative", height: 16 }}>
                  {row.bars.map((bar, index) => (
                    <span
                      key={index}
                      title={`${bar.kind === "queued" ? "waited" : bar.state} ${duration(bar.to - bar.from)}`}
                      style={{
                        position: "absolute",
                        left: left(bar.from),
                        width: `max(3px, ${(100 * (bar.to - bar.from)) / length}%)`,
                        height: 16,
                        borderRadius: 4,
                        background:
                          bar.kind === "queued"
                            ? "repeating-linear-gradient(45deg, var(--line) 0 3px, transparent 3px 7px)"
                            : `var(--${familyOf(bar.state)})`,
                      }}
                    />
                  ))}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </figure>
  );
}
