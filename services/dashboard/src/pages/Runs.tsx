import { Button, Checkbox } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";

import type { Flow_Run_Bool_Exp } from "../api/generated/graphql";
import { usePreferences } from "../app/preferences";
import { useSession, useTenant } from "../app/session";
import { Empty, Loaded, Page, Took, When } from "../components/basics";
import { BULK, BulkButton } from "../components/Bulk";
import { Downloads } from "../components/Download";
import { Histogram } from "../components/Histogram";
import { Filters } from "../components/RunFilters";
import { useRunList, type RunRow } from "../components/runList";
import { WhyLate } from "../components/runs";
import { State } from "../components/State";
import { ACTIONS, type Action, type Chosen } from "../lib/bulk";
import { whereOf, type RunFilters } from "../lib/filters";
import { windowOf } from "../lib/histogram";
import { familyOf, isFinished, isLate } from "../lib/states";
import { took } from "../lib/time";

const COLUMNS = "28px minmax(200px, 2fr) 112px minmax(140px, 1fr) 104px 88px";
const HEIGHT = 40;
const CSV_COLUMNS = "id,name,state,state_message,flow.name,flow.project.name,scheduled_start_time,start_time,end_time,labels,parameters";

/** Which runs are there? One long list; its filters are the address. */
export function Runs() {
  const { slug } = useParams({ from: "/$slug/runs" });
  const filters = useSearch({ from: "/$slug/runs" });
  const tenant = useTenant(slug)?.id ?? "";
  return (
    <Page title="Runs">
      <Filters filters={filters} tenant={tenant} />
      <Times filters={filters} />
      <List key={JSON.stringify(filters)} slug={slug} filters={filters} tenant={tenant} />
    </Page>
  );
}

/** When the runs of this filter were due; a bar narrows the list to its hour or day. */
function Times({ filters }: { filters: RunFilters }) {
  const navigate = useNavigate({ from: "/$slug/runs" });
  const { now } = usePreferences();
  const { hours: _hours, from: _from, to: _to, ...rest } = filters;
  const window = windowOf(filters, now);
  const minute = Math.floor(now / 60_000) * 60_000;
  const key = JSON.stringify(rest);
  const where = useMemo(() => whereOf(JSON.parse(key) as RunFilters, minute) as Flow_Run_Bool_Exp, [key, minute]);
  return (
    <div className="card" style={{ marginBottom: 12, padding: "12px 16px" }}>
      <Histogram
        window={window}
        where={where}
        choose={(from, to) =>
          void navigate({ search: { ...rest, from: new Date(from).toISOString(), to: new Date(to).toISOString() } })
        }
      />
    </div>
  );
}

function List({ slug, filters, tenant }: { slug: string; filters: RunFilters; tenant: string }) {
  const { may } = useSession();
  const { query, rows, where, fresh, show, renew, scroll, leave } = useRunList(filters, tenant);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [allThatMatch, setAllThatMatch] = useState(false);
  const clear = () => {
    setChosen(new Set());
    setAllThatMatch(false);
  };
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => HEIGHT,
    overscan: 12,
    initialOffset: scroll,
    getItemKey: (index) => rows[index]?.id ?? index,
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items[items.length - 1]?.index ?? 0;
  show(rows.slice(first, last + 1));
  const at = useRef(scroll);
  const latest = useRef(leave);
  latest.current = leave;
  useEffect(() => () => latest.current(at.current), []);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && last >= rows.length - 40) void fetchNextPage();
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setAllThatMatch(false);
    setChosen(next);
  };
  const toggleAll = () => setChosen(chosen.size > 0 ? new Set() : new Set(rows.map((row) => row.id)));
  return (
    <div className="card" style={{ padding: 0 }}>
      <Toolbar
        slug={slug}
        tenant={tenant}
        where={where}
        fresh={fresh}
        renew={() => {
          clear();
          box.current?.scrollTo({ top: 0 });
          renew();
        }}
        chosen={chosen}
        allThatMatch={allThatMatch}
        setAllThatMatch={setAllThatMatch}
        clear={clear}
      />
      <Loaded query={query} rows={14}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No run matches.">
              <Button component={Link} to="/$slug/runs" params={{ slug } as never} search={{} as never} variant="default">
                Show all runs
              </Button>
            </Empty>
          ) : (
            <>
              <div role="table" aria-label="Runs" aria-rowcount={hasNextPage ? -1 : rows.length + 1} className="scroll">
                <div role="presentation" style={{ minWidth: 720 }}>
                  <div role="row" className="vhead" style={{ gridTemplateColumns: COLUMNS }}>
                    <span role="columnheader">
                      {may(BULK) && (
                        <Checkbox
                          size="xs"
                          aria-label="Choose all that are loaded"
                          checked={chosen.size > 0 && chosen.size === rows.length}
                          indeterminate={chosen.size > 0 && chosen.size < rows.length}
                          onChange={toggleAll}
                        />
                      )}
                    </span>
                    {["Run", "State", "Flow", "Due or started", "Took"].map((name) => (
                      <span role="columnheader" key={name}>
                        {name}
                      </span>
                    ))}
                  </div>
                  <div
                    className="virtual"
                    style={{ height: `min(64vh, ${Math.max(3, rows.length) * HEIGHT + 2}px)` }}
                    ref={box}
                    tabIndex={0}
                    aria-label="Rows of runs"
                    role="rowgroup"
                    onScroll={(event) => {
                      at.current = event.currentTarget.scrollTop;
                    }}
                  >
                    <div style={{ height: virtual.getTotalSize() }} role="presentation">
                      {items.map((item) => {
                        const run = rows[item.index];
                        return (
                          run && (
                            <div
                              key={run.id}
                              role="row"
                              aria-rowindex={item.index + 2}
                              className="vrow"
                              style={{ gridTemplateColumns: COLUMNS, height: item.size, transform: `translateY(${item.start}px)` }}
                            >
                              <Cells slug={slug} run={run} isChosen={allThatMatch || chosen.has(run.id)} toggle={may(BULK) ? () => toggle(run.id) : null} />
                            </div>
                          )
                        );
                      })}
                    </div>
                  </div>
                </div>
              </div>
              <p className="small quiet" style={{ padding: "0 12px" }} role="status">
                {hasNextPage ? `${rows.length.toLocaleString("en")} shown, more below` : `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "run" : "runs"}`}
              </p>
            </>
          )
        }
      </Loaded>
    </div>
  );
}

function Cells({ slug, run, isChosen, toggle }: { slug: string; run: RunRow; isChosen: boolean; toggle: (() => void) | null }) {
  const { now } = usePreferences();
  const late = isLate(run.state, run.scheduled_start_time, now);
  return (
    <>
      <span role="cell">{toggle && <Checkbox size="xs" aria-label={`Choose ${run.name}`} checked={isChosen} onChange={toggle} />}</span>
      <span role="cell" className="cut">
        <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }} title={run.state_message ?? ""}>
          {run.name}
        </Link>
        {late && run.late_reason && (
          <span className="small quiet">
            {" "}
            <WhyLate slug={slug} reason={run.late_reason} labels={run.labels} />
          </span>
        )}
      </span>
      <span role="cell">
        <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
      </span>
      <span role="cell" className="cut">
        <Link to="/$slug/flow/$id" params={{ slug, id: run.flow_group_id }}>
          {run.flow?.name}
        </Link>{" "}
        <span className="quiet small">{run.flow?.project?.name}</span>
      </span>
      <span role="cell">
        <When at={run.start_time ?? run.scheduled_start_time} />
      </span>
      <span role="cell">
        {familyOf(run.state) === "waiting" ? (
          <Took ms={null} />
        ) : (
          <Took ms={took(run.start_time, isFinished(run.state) ? (run.end_time ?? run.start_time) : null, now)} />
        )}
      </span>
    </>
  );
}

type ToolbarProps = {
  slug: string;
  tenant: string;
  where: Flow_Run_Bool_Exp;
  fresh: number;
  renew: () => void;
  chosen: ReadonlySet<string>;
  allThatMatch: boolean;
  setAllThatMatch: (all: boolean) => void;
  clear: () => void;
};

/** Above the list: what is new, what can be done to what was chosen, and the list as a file. */
function Toolbar({ slug, tenant, where, fresh, renew, chosen, allThatMatch, setAllThatMatch, clear }: ToolbarProps) {
  const { may } = useSession();
  const has = allThatMatch || chosen.size > 0;
  const what: Chosen = allThatMatch ? { where: where as Record<string, unknown> } : { ids: [...chosen] };
  const csv = `api/tables/flow_run.csv?${new URLSearchParams({ where: JSON.stringify(where), columns: CSV_COLUMNS, order: "desc" }).toString()}`;
  return (
    <div className="row toolbar" role="toolbar" aria-label="The list">
      {may(BULK) && (
        <>
          <span className="small" role="status">
            {allThatMatch ? "All that match are chosen" : has ? `${chosen.size} chosen` : "Choose runs to act on them"}
          </span>
          {has ? (
            <>
              {(Object.keys(ACTIONS) as Action[]).map((action) => (
                <BulkButton
                  key={action}
                  slug={slug}
                  action={action}
                  chosen={what}
                  disabled={false}
                  onDone={renew}
                />
              ))}
              {!allThatMatch && (
                <Button size="xs" variant="subtle" onClick={() => setAllThatMatch(true)}>
                  Choose all that match
                </Button>
              )}
              <Button size="xs" variant="subtle" onClick={clear}>
                Choose none
              </Button>
            </>
          ) : (
            <Button size="xs" variant="subtle" onClick={() => setAllThatMatch(true)}>
              Choose all that match
            </Button>
          )}
        </>
      )}
      <span style={{ flex: 1 }} />
      <span role="status">
        {fresh > 0 && (
          <Button size="xs" onClick={renew}>
            {fresh >= 100 ? "99+ new" : `${fresh} new`}
          </Button>
        )}
      </span>
      <Downloads label="Download" tenant={tenant} files={[{ label: "CSV of all that match", path: csv, name: "flow_run.csv" }]} />
    </div>
  );
}
