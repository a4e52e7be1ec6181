import { Button, Chip, Group, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { Flow_Run_Bool_Exp } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Empty, Loaded, Page, Took, When } from "../components/basics";
import { State } from "../components/State";
import { interestOf } from "../lib/events";
import { whereOf, type RunFilters } from "../lib/filters";
import { FAMILIES, FAMILY_NAMES, isFinished, type Family } from "../lib/states";
import { took } from "../lib/time";

const RUNS = graphql(`
  query Runs($where: flow_run_bool_exp!, $offset: Int!) {
    flow_run(where: $where, order_by: [{ scheduled_start_time: desc }, { id: desc }], limit: 100, offset: $offset) {
      id
      name
      state
      state_message
      scheduled_start_time
      start_time
      end_time
      labels
      late_reason
      flow {
        name
        project {
          name
        }
      }
    }
  }
`);
const PROJECTS = graphql(`
  query ProjectNames {
    project(order_by: [{ name: asc }], limit: 500) {
      id
      name
    }
  }
`);
const RUNS_INTEREST = interestOf(RUNS.toString(), {});
const PAGE = 100;
/** The API gives no more rows of a list than this. */
const MOST = 10_000;
const COLUMNS = "minmax(180px, 2fr) 120px minmax(140px, 1fr) 120px 110px";

/** Which runs are there? One long list; its filters are the address. */
export function Runs() {
  const { slug } = useParams({ from: "/$slug/runs" });
  const filters = useSearch({ from: "/$slug/runs" });
  return (
    <Page title="Runs">
      <Filters filters={filters} />
      <List key={JSON.stringify(filters)} slug={slug} filters={filters} />
    </Page>
  );
}

function Filters({ filters }: { filters: RunFilters }) {
  const navigate = useNavigate({ from: "/$slug/runs" });
  const projects = useLive(PROJECTS, {});
  const [q, setQ] = useState(filters.q ?? "");
  useEffect(() => setQ(filters.q ?? ""), [filters.q]);
  const set = (changed: Partial<Record<keyof RunFilters, unknown>>) => {
    const next = Object.fromEntries(
      Object.entries({ ...filters, ...changed }).filter(([, value]) => value !== undefined && value !== null && value !== ""),
    );
    void navigate({ search: next as RunFilters });
  };
  const setText = useDebouncedCallback((value: string) => set({ q: value.trim() }), 300);
  return (
    <div className="card" style={{ marginBottom: 16 }} role="search" aria-label="Filter the runs">
      <div className="row">
        <TextInput
          aria-label="Name or id"
          placeholder="Name of a run or flow, or an id"
          value={q}
          style={{ flex: "1 1 220px" }}
          onChange={(event) => {
            setQ(event.currentTarget.value);
            setText(event.currentTarget.value);
          }}
        />
        <Select
          aria-label="Project"
          placeholder="All projects"
          clearable
          searchable
          data={(projects.data?.project ?? []).map((each) => ({ value: each.id, label: each.name }))}
          value={filters.project ?? null}
          onChange={(project) => set({ project })}
        />
        <Select
          aria-label="When"
          placeholder="Any time"
          clearable
          data={[
            { value: "1", label: "Changed in the last hour" },
            { value: "24", label: "Changed in 24 hours" },
            { value: "168", label: "Changed in 7 days" },
          ]}
          value={filters.hours ? String(filters.hours) : null}
          onChange={(hours) => set({ hours: hours ? Number(hours) : undefined })}
        />
      </div>
      <Chip.Group
        multiple
        value={filters.is ?? []}
        onChange={(is) => set({ is: is.length ? (is as (Family | "late")[]) : undefined })}
      >
        <Group gap="xs" mt="sm">
          {(["late", ...FAMILIES] as const).map((kind) => (
            <Chip key={kind} value={kind} size="xs" variant="outline">
              {kind === "late" ? "Late" : FAMILY_NAMES[kind]}
            </Chip>
          ))}
        </Group>
      </Chip.Group>
    </div>
  );
}

function List({ slug, filters }: { slug: string; filters: RunFilters }) {
  const { now } = usePreferences();
  // The condition is made once for a list: new ones come in by "newer runs", and rows do not jump.
  const [from] = useState(now);
  const where = useMemo(() => whereOf(filters, from) as Flow_Run_Bool_Exp, [filters, from]);
  const query = useInfiniteQuery({
    queryKey: ["live", "runs", where],
    queryFn: ({ pageParam, signal }) => request(RUNS, { where, offset: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: (last, pages) =>
      last.flow_run.length === PAGE && pages.length * PAGE < MOST ? pages.length * PAGE : undefined,
    meta: { interest: RUNS_INTEREST },
    refetchInterval: 60_000,
  });
  const rows = useMemo(() => {
    const seen = new Map((query.data?.pages ?? []).flatMap((page) => page.flow_run.map((run) => [run.id, run] as const)));
    return [...seen.values()];
  }, [query.data]);
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => 44, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && last >= rows.length - 20) void fetchNextPage();
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <div className="card" style={{ padding: 0 }}>
      <Loaded query={query} rows={14}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No run matches.">
              <Button component={Link} to="/$slug/runs" params={{ slug } as never} variant="default">
                Show all runs
              </Button>
            </Empty>
          ) : (
            <>
            <div role="table" aria-label="Runs" aria-rowcount={hasNextPage ? -1 : rows.length} className="scroll">
              <div role="presentation" style={{ minWidth: 720 }}>
                <div role="row" className="vhead" style={{ gridTemplateColumns: COLUMNS }}>
                  {["Run", "State", "Flow", "Due or started", "Took"].map((name) => (
                    <span role="columnheader" key={name}>
                      {name}
                    </span>
                  ))}
                </div>
                <div className="virtual" ref={box} tabIndex={0} aria-label="Rows of runs" role="rowgroup">
                  <div style={{ height: virtual.getTotalSize() }} role="presentation">
                    {items.map((item) => {
                      const run = rows[item.index];
                      if (!run) return null;
                      return (
                        <div
                          key={run.id}
                          role="row"
                          aria-rowindex={item.index + 1}
                          className="vrow"
                          style={{ gridTemplateColumns: COLUMNS, height: item.size, transform: `translateY(${item.start}px)` }}
                        >
                          <span role="cell" className="cut">
                            <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }} title={run.state_message ?? ""}>
                              {run.name}
                            </Link>
                          </span>
                          <span role="cell">
                            <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
                          </span>
                          <span role="cell" className="cut">
                            {run.flow?.name} <span className="quiet small">{run.flow?.project?.name}</span>
                          </span>
                          <span role="cell">
                            <When at={run.start_time ?? run.scheduled_start_time} />
                          </span>
                          <span role="cell">
                            <Took ms={took(run.start_time, isFinished(run.state) ? (run.end_time ?? run.start_time) : null, now)} />
                          </span>
                        </div>
                      );
                    })}
                  </div>
                </div>
              </div>
            </div>
              <p className="small quiet" style={{ padding: "0 12px" }} role="status">
                {hasNextPage ? `${rows.length} shown, more below` : rows.length >= MOST ? "10,000+ runs: narrow the filter" : `${rows.length} runs`}
              </p>
            </>
          )
        }
      </Loaded>
    </div>
  );
}
