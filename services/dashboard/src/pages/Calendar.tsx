import { Button } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Empty, Loaded, Page } from "../components/basics";
import { Shape } from "../components/State";
import { familyOf } from "../lib/states";
import { absolute, dayOf } from "../lib/time";

const DAY = graphql(`
  query CalendarDay($from: timestamptz!, $to: timestamptz!) {
    flow_run(
      where: { scheduled_start_time: { _gte: $from, _lt: $to } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 2000
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
const HOURS = 24 * 3_600_000;

/** What is coming, and what was? One day by the hours of the reader's zone. */
export function Calendar() {
  const { slug } = useParams({ from: "/$slug/calendar" });
  const { zone } = usePreferences();
  const [at, setAt] = useState(() => Date.now());
  const from = startOfDay(at, zone);
  const to = startOfDay(from + 1.5 * HOURS, zone);
  const query = useLive(DAY, { from: new Date(from).toISOString(), to: new Date(to).toISOString() }, { keep: true });
  return (
    <Page
      title={`Calendar of ${dayOf(from, zone)}`}
      actions={
        <>
          <Button variant="default" onClick={() => setAt(from - HOURS / 2)}>
            Day before
          </Button>
          <Button variant="default" onClick={() => setAt(Date.now())}>
            Today
          </Button>
          <Button variant="default" onClick={() => setAt(from + 1.5 * HOURS)}>
            Day after
          </Button>
        </>
      }
    >
      <p className="small quiet">Hours of {zone}. A schedule's next ten instants are known ahead; later ones come as time goes on.</p>
      <div className="card">
        <Loaded query={query} rows={12}>
          {({ flow_run: runs }) => {
            if (runs.length === 0) return <Empty title="Nothing is due on this day, as far as is known." />;
            const hours = new Map<string, typeof runs>();
            for (const run of runs) {
              const hour = absolute(Date.parse(run.scheduled_start_time), zone).slice(11, 13);
              hours.set(hour, [...(hours.get(hour) ?? []), run]);
            }
            return (
              <>
                {runs.length === 2000 && <p>This day has more than 2,000 runs; the first are shown.</p>}
                <table className="table">
                  <tbody>
                    {[...hours].map(([hour, list]) => (
                      <tr key={hour}>
                        <th scope="row">{hour}:00</th>
                        <td>
                          <div className="row">
                            {list.slice(0, 60).map((run) => (
                              <Link key={run.id} to="/$slug/flow-run/$id" params={{ slug, id: run.id }} className="state" title={`${run.name}, ${absolute(Date.parse(run.scheduled_start_time), zone)}`}>
                                <Shape family={familyOf(run.state)} label={run.state} />
                                {absolute(Date.parse(run.scheduled_start_time), zone).slice(11, 16)} {run.flow?.name}
                              </Link>
                            ))}
                            {list.length > 60 && <span className="quiet">and {list.length - 60} more</span>}
                          </div>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </>
            );
          }}
        </Loaded>
      </div>
    </Page>
  );
}

/** Midnight before a time, by the clock of a zone: also on days of 23 or 25 hours. */
export function startOfDay(at: number, zone: string): number {
  const day = dayOf(at, zone);
  let low = at - 26 * 3_600_000;
  let high = at;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (dayOf(middle, zone) < day) low = middle;
    else high = middle;
  }
  return high;
}
