import { useRef, useState } from "react";

import { graphql } from "../api/generated";
import type { Flow_Run_Bool_Exp } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { columnsOf, inWords, type Column, type Window } from "../lib/histogram";
import { FAMILIES, FAMILY_NAMES } from "../lib/states";
import { absolute } from "../lib/time";
import { Shape } from "./State";

const BUCKETS = graphql(`
  query RunBuckets($since: timestamptz!, $until: timestamptz!, $by: run_bucket!, $zone: String!, $where: flow_run_bool_exp) {
    flow_run_buckets(since: $since, until: $until, by: $by, time: due, time_zone: $zone, where: $where) {
      bucket
      state
      count
      is_more
    }
  }
`);

type Props = {
  window: Window;
  where: Flow_Run_Bool_Exp;
  /** What a bar does when it is chosen: its time. */
  choose: (from: number, to: number) => void;
};

/** How many runs were due when, and what became of them. One stop for the Tab key: arrows go from bar to bar. */
export function Histogram({ window, where, choose }: Props) {
  const { zone } = usePreferences();
  const query = useLive(
    BUCKETS,
    { since: new Date(window.from).toISOString(), until: new Date(window.to).toISOString(), by: window.by, zone, where },
    { keep: true },
  );
  const columns = columnsOf(query.data?.flow_run_buckets ?? [], window);
  const most = Math.max(1, ...columns.map((column) => column.total));
  const [at, setAt] = useState(columns.length - 1);
  const box = useRef<HTMLDivElement>(null);
  const shown = Math.min(at, columns.length - 1);
  const when = (column: Column) => `${absolute(column.from, zone).slice(window.by === "day" ? 0 : 5, window.by === "day" ? 10 : 16)}`;
  const go = (to: number) => {
    const next = Math.max(0, Math.min(columns.length - 1, to));
    setAt(next);
    box.current?.querySelectorAll<HTMLElement>("button")[next]?.focus();
  };
  return (
    <figure className="histogram" aria-label={`Runs by ${window.by} in which they were due`} aria-busy={query.isLoading}>
      <div className="scale small quiet" aria-hidden>
        <span>{most.toLocaleString("en")}</span>
        <span>0</span>
      </div>
      <div
        className="bars"
        ref={box}
        role="group"
        aria-label="Choose an hour or a day; arrow keys go from one to the next"
        onKeyDown={(event) => {
          const to = { ArrowRight: shown + 1, ArrowLeft: shown - 1, Home: 0, End: columns.length - 1 }[event.key];
          if (to === undefined) return;
          event.preventDefault();
          go(to);
        }}
      >
        {columns.map((column, index) => (
          <button
            key={column.from}
            type="button"
            tabIndex={index === shown ? 0 : -1}
            title={`${when(column)}\n${inWords(column, FAMILY_NAMES)}`}
            aria-label={`${when(column)}, ${inWords(column, FAMILY_NAMES)}`}
            onClick={() => {
              setAt(index);
              choose(column.from, column.to);
            }}
          >
            {FAMILIES.map(
              (family) =>
                column.counts[family] > 0 && (
                  <span key={family} style={{ flexGrow: column.counts[family], background: `var(--${family})` }} />
                ),
            )}
            <span className="rest" style={{ flexGrow: Math.max(0, most - column.total) }} />
          </button>
        ))}
      </div>
      <figcaption className="small quiet">
        <span>{columns[0] && when(columns[0])}</span>
        <span className="row legend">
          {FAMILIES.filter((family) => columns.some((column) => column.counts[family] > 0)).map((family) => (
            <span key={family} className="row">
              <Shape family={family} size={12} /> {FAMILY_NAMES[family]}
            </span>
          ))}
        </span>
        <span>{zone}, by {window.by}</span>
      </figcaption>
    </figure>
  );
}
