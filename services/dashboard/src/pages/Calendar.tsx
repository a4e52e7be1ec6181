import { Button, SegmentedControl } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { graphql } from "../api/generated";
import type { CalendarQuery } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Command, Empty, Loaded, Page } from "../components/basics";
import { Shape, State } from "../components/State";
import { dayAfter, daysFrom, inHours, startOfDay, startOfWeek } from "../lib/calendar";
import { familyOf } from "../lib/states";
import { absolute, dayOf, weekday } from "../lib/time";

const RUNS = graphql(`
  query Calendar($from: timestamptz!, $to: timestamptz!) {
    flow_run(
      where: { scheduled_start_time: { _gte: $from, _lt: $to } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 3000
    ) {
      id
      name
      state
      scheduled_start_time
      flow {
        name
      }
    }
  }
`);
const MOST = 3000;
/** Runs shown of one flow in one hour of a week, and of one hour of a day. */
const IN_WEEK = 3;
const IN_DAY = 60;

type Run = CalendarQuery["flow_run"][number];

/** What is coming, and what was? A week or a day by the hours of the reader's zone. */
export function Calendar() {
  const { slug } = useParams({ from: "/$slug/calendar" });
  const { zone } = usePreferences();
  const [at, setAt] = useState(() => Date.now());
  const [by, setBy] = useState<string>("week");
  const from = by === "week" ? startOfWeek(at, zone) : startOfDay(at, zone);
  const days = daysFrom(from, by === "week" ? 7 : 1, zone);
  const to = dayAfter(days.at(-1) ?? from, zone);
  const query = useLive(RUNS, { from: new Date(from).toISOString(), to: new Date(to).toISOString() }, { keep: true });
  return (
    <Page
      title={by === "week" ? `Week of ${dayOf(from, zone)}` : `${weekday(from, zone)} ${dayOf(from, zone)}`}
      actions={
        <>
          <SegmentedControl size="xs" aria-label="Span" value={by} onChange={setBy} data={[{ value: "week", label: "Week" }, { value: "day", label: "Day" }]} />
          <Button variant="default" aria-label={`${by} before`} onClick={() => setAt(from - 1)}>
            ‹ Before
          </Button>
          <Button variant="default" onClick={() => setAt(Date.now())}>
            Today
          </Button>
          <Button variant="default" aria-label={`${by} after`} onClick={() => setAt(to)}>
            After ›
          </Button>
        </>
      }
    >
      <p className="small quiet">Hours of {zone}. Of each schedule the next ten runs are known; later ones appear as time goes on.</p>
      <div className="card">
        <Loaded query={query} rows={12}>
          {({ flow_run: runs }) => {
            if (runs.length === 0) {
              return (
                <Empty title={`Nothing is due in this ${by}, as far as is known.`}>
                  <span>A flow with a schedule appears here ahead of time. In its code:</span>
                  <Command text={'Flow("orders", schedule=CronSchedule("0 2 * * *"))'} />
                </Empty>
              );
            }
            return (
              <>
                {runs.length === MOST && <p className="note warns">There are more runs than {MOST.toLocaleString("en")}; the first are shown. Look at a day.</p>}
                {by === "week" ? <Week slug={slug} runs={runs} days={days} /> : <Day slug={slug} runs={runs} from={from} />}
              </>
            );
          }}
        </Loaded>
      </div>
    </Page>
  );
}

function clock(run: Run, zone: string): string {
  return absolute(Date.parse(run.scheduled_start_time), zone).slice(11, 16);
}

function Week({ slug, runs, days }: { slug: string; runs: readonly Run[]; days: readonly number[] }) {
  const { zone, now } = usePreferences();
  const cells = inHours(runs, zone);
  const hours = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0"));
  const [today, hourNow] = [dayOf(now, zone), absolute(now, zone).slice(11, 13)];
  return (
    <div className="week" role="table" aria-label="Runs by day and hour">
      <div role="row" style={{ display: "contents" }}>
        <span role="columnheader" className="hour" aria-label="Hour" />
        {days.map((day) => (
          <span key={day} role="columnheader" className={`day${dayOf(day, zone) === today ? " today" : ""}`}>
            {weekday(day, zone)} {dayOf(day, zone).slice(8)}
          </span>
        ))}
      </div>
      {hours.map((hour) => (
        <div key={hour} role="row" style={{ display: "contents" }}>
          <span role="rowheader" className="hour">{hour}</span>
          {days.map((day) => {
            const name = dayOf(day, zone);
            return (
              <div key={day} role="cell" className={name === today && hour === hourNow ? "now" : ""}>
                <Cell slug={slug} runs={cells.get(`${name} ${hour}`) ?? []} />
              </div>
            );
          })}
        </div>
      ))}
    </div>
  );
}

/** The runs of one hour: one line a flow, so that a flow that runs each minute hides nothing. */
function Cell({ slug, runs }: { slug: string; runs: readonly Run[] }): ReactNode {
  const { zone } = usePreferences();
  const flows = new Map<string, Run[]>();
  for (const run of runs) flows.set(run.flow?.name ?? "", [...(flows.get(run.flow?.name ?? "") ?? []), run]);
  return [...flows].slice(0, IN_WEEK).map(([name, [first, ...more]]) =>
    first ? (
      <Link key={name} to="/$slug/flow-run/$id" params={{ slug, id: first.id }} title={`${name} at ${clock(first, zone)}: ${first.state}${more.length > 0 ? `, and ${more.length} more in this hour` : ""}`}>
        <Shape family={familyOf(first.state)} size={12} label={first.state} />
        <span className="cut">{name}</span>
        {more.length > 0 && <span className="quiet">×{more.length + 1}</span>}
      </Link>
    ) : null,
  ).concat(flows.size > IN_WEEK ? [<span key="more" className="quiet">{flows.size - IN_WEEK} more {flows.size - IN_WEEK === 1 ? "flow" : "flows"}</span>] : []);
}

function Day({ slug, runs, from }: { slug: string; runs: readonly Run[]; from: number }) {
  const { zone, now } = usePreferences();
  const cells = inHours(runs, zone);
  return (
    <table className="table">
      <tbody>
        {[...cells].map(([hour, list]) => (
          <tr key={hour}>
            <th scope="row" style={{ width: 72, verticalAlign: "top" }}>{hour.slice(11)}:00</th>
            <td>
              <div className="row" style={{ gap: "4px 20px" }}>
                {list.slice(0, IN_DAY).map((run) => (
                  <Link key={run.id} to="/$slug/flow-run/$id" params={{ slug, id: run.id }} className="row" title={run.name} style={{ gap: 6 }}>
                    <span className="quiet">{clock(run, zone)}</span> {run.flow?.name}
                    <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
                  </Link>
                ))}
                {list.length > IN_DAY && <span className="quiet">and {list.length - IN_DAY} more</span>}
              </div>
            </td>
          </tr>
        ))}
      </tbody>
      <caption className="skip">Runs of {dayOf(from, zone)}</caption>
    </table>
  );
}
