import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { usePreferences } from "../app/preferences";
import { familyOf, type Family } from "../lib/states";
import { absolute, duration, tickText } from "../lib/time";

/** One run: when it began and how long it took, both in milliseconds. */
export type TrendPoint = { id: string; name: string; state: string; at: number; took: number };

const HEIGHT = 200;
const SIZE = 4;
/** Round steps of durations, in milliseconds. */
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5,
  432e5, 864e5, 2 * 864e5, 5 * 864e5, 10 * 864e5, 50 * 864e5,
];

/** How long runs took over time. A table beside it says the same in words; a click opens the run. */
export function Trend({ points, onOpen }: { points: readonly TrendPoint[]; onOpen: (id: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  const { zone } = usePreferences();
  const [near, setNear] = useState<TrendPoint | null>(null);
  const shown = useRef<{ points: TrendPoint[]; near: TrendPoint | null }>({ points: [], near: null });
  const plot = useRef<uPlot | null>(null);
  const open = useRef(onOpen);
  open.current = onOpen;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const found = new uPlot(
      {
        width: element.clientWidth || 600,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
        axes: [
          {
            stroke: colour("--quiet"),
            grid: { show: false },
            ticks: { stroke: colour("--line") },
            space: 72,
            values: (_, ticks, __, ___, step) => ticks.map((tick) => tickText(tick * 1000, step * 1000, zone)),
          },
          {
            stroke: colour("--quiet"),
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { show: false },
            size: 76,
            incrs: STEPS,
            values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : duration(tick))),
          },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [(self) => drawAll(self, shown.current, colour)],
          setCursor: [
            (self) => {
              const next = self.cursor.idx == null ? null : (shown.current.points[self.cursor.idx] ?? null);
              if (next === shown.current.near) return;
              shown.current.near = next;
              setNear(next);
              self.redraw(false);
            },
          ],
        },
      },
      [[], []],
      element,
    );
    plot.current = found;
    found.over.addEventListener("click", () => {
      const at = shown.current.near;
      if (at) open.current(at.id);
    });
    const watcher = new ResizeObserver(() => found.setSize({ width: element.clientWidth, height: HEIGHT }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      found.destroy();
      plot.current = null;
    };
  }, [scheme, zone]);

  useEffect(() => {
    shown.current.points = [...points].sort((one, other) => one.at - other.at);
    plot.current?.setData([shown.current.points.map((each) => each.at / 1000), shown.current.points.map((each) => each.took)]);
  }, [points, scheme, zone]);

  return (
    <figure style={{ margin: 0 }} aria-label="How long runs took over time; the table of runs says the same">
      <div ref={box} className="trend" aria-hidden />
      <figcaption className="small quiet" style={{ minHeight: 18 }}>
        {near ? (
          <>
            {near.name}: {near.state}, took {duration(near.took)}, {absolute(near.at, zone)}
          </>
        ) : (
          `Each mark is a run. Times in ${zone}.`
        )}
      </figcaption>
    </figure>
  );
}

function drawAll(plot: uPlot, { points, near }: { points: TrendPoint[]; near: TrendPoint | null }, colour: (name: string) => string) {
  const { ctx } = plot;
  const size = SIZE * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.bbox.left - size, plot.bbox.top - size, plot.bbox.width + 2 * size, plot.bbox.height + 2 * size);
  ctx.clip();
  for (const point of points) {
    const x = plot.valToPos(point.at / 1000, "x", true);
    const y = plot.valToPos(point.took, "y", true);
    drawMark(ctx, familyOf(point.state), x, y, point === near ? size * 1.7 : size, colour);
  }
  ctx.restore();
}

/** Each family has a shape of its own: a disc, a cross, a ring, a triangle, a diamond, a bar. */
function drawMark(
  ctx: CanvasRenderingContext2D, family: Family, x: number, y: number, size: number, colour: (name: string) => string,
) {
  ctx.fillStyle = ctx.strokeStyle = colour(`--${family}`);
  ctx.lineWidth = Math.max(1.5, size / 2.2);
  ctx.beginPath();
  switch (family) {
    case "success":
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      return ctx.fill();
    case "failed":
      ctx.moveTo(x - size, y - size);
      ctx.lineTo(x + size, y + size);
      ctx.moveTo(x + size, y - size);
      ctx.lineTo(x - size, y + size);
      return ctx.stroke();
    case "running":
      ctx.moveTo(x - size, y - size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x - size, y + size);
      return ctx.fill();
    case "waiting":
      ctx.moveTo(x, y - size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + size);
      ctx.lineTo(x - size, y);
      return ctx.fill();
    case "cancelled":
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      return ctx.stroke();
    case "skipped":
      ctx.moveTo(x - size, y);
      ctx.lineTo(x + size, y);
      return ctx.stroke();
  }
}
