import { useInfiniteQuery, useQuery, type InfiniteData } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { Flow_Run_Bool_Exp, RunsQuery } from "../api/generated/graphql";
import { live, queries, useNews } from "../app/live";
import { concerns, type Interest } from "../lib/events";
import { listedOf, type RunFilters } from "../lib/filters";
import { afterInTime, uniqueRows } from "../lib/pages";

const RUNS = graphql(`
  query Runs($where: flow_run_bool_exp!) {
    flow_run(where: $where, order_by: [{ scheduled_start_time: desc }, { id: desc }], limit: 100) {
      ...RunRow
    }
  }
  fragment RunRow on flow_run {
    id
    name
    state
    state_message
    scheduled_start_time
    start_time
    end_time
    labels
    late_reason
    flow_group_id
    flow {
      name
      project {
        name
      }
    }
  }
`);
const NEWS = graphql(`
  query RunsNews($ids: [uuid!]!, $fresh: flow_run_bool_exp!) {
    changed: flow_run(where: { id: { _in: $ids } }, limit: 100) {
      ...RunRow
    }
    fresh: flow_run(where: $fresh, order_by: [{ updated: desc }], limit: 100) {
      id
    }
  }
`);
const PAGE = 100;
const RUNS_CHANGE: Interest = { kinds: new Set(["flow_run"]), ids: null };

export type RunRow = RunsQuery["flow_run"][number];
type Pages = InfiniteData<RunsQuery, Place | null>;
type Place = Pick<RunRow, "scheduled_start_time" | "id">;

/** What a list was when it was left: Back shows the same rows at the same place. */
const left = new Map<string, { from: number; scroll: number; at: number }>();
const KEPT = 5 * 60_000;

/**
 * The runs of a filter, page by page as far as one scrolls. The list holds still: rows that are seen change in their
 * place, and what is new is counted until somebody asks for it.
 */
export function useRunList(filters: RunFilters, tenant: string) {
  const key = `${tenant} ${JSON.stringify(filters)}`;
  const kept = left.get(key);
  const [from, setFrom] = useState(() => (kept && Date.now() - kept.at < KEPT ? kept.from : Date.now()));
  const where = useMemo(() => listedOf(filters, from) as Flow_Run_Bool_Exp, [filters, from]);
  const listKey = useMemo(() => ["runs", tenant, where] as const, [tenant, where]);
  const query = useInfiniteQuery({
    queryKey: listKey,
    queryFn: ({ pageParam, signal }) => request(RUNS, { where: pageParam === null ? where : { _and: [where, afterInTime("scheduled_start_time", pageParam)] } }, signal),
    initialPageParam: null as Place | null,
    getNextPageParam: (last): Place | undefined => (last.flow_run.length === PAGE ? last.flow_run.at(-1) : undefined),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
  const rows = useMemo(() => uniqueRows((query.data?.pages ?? []).map((page) => page.flow_run)), [query.data]);
  const shown = useRef<readonly RunRow[]>([]);
  const fresh = useFresh(filters, from, rows, shown, listKey, query.isSuccess);
  return {
    query,
    rows,
    where,
    fresh,
    /** Tell which rows are on screen: these are kept up to date. */
    show: (seen: readonly RunRow[]) => {
      shown.current = seen;
    },
    /** Begin anew, with what is new. */
    renew: () => setFrom(Date.now()),
    scroll: kept?.from === from ? kept.scroll : 0,
    leave: (scroll: number) => {
      left.delete(key);
      left.set(key, { from, scroll, at: Date.now() });
      if (left.size > 20) left.delete(left.keys().next().value ?? "");
    },
  };
}

/** Keep the rows that are seen up to date, and count those that are not in the list yet. */
function useFresh(
  filters: RunFilters,
  from: number,
  rows: readonly RunRow[],
  shown: { readonly current: readonly RunRow[] },
  listKey: readonly unknown[],
  enabled: boolean,
): number {
  const known = useRef<ReadonlySet<string>>(new Set());
  known.current = useMemo(() => new Set(rows.map((row) => row.id)), [rows]);
  const last = rows.at(-1)?.scheduled_start_time;
  const news = useQuery({
    queryKey: ["live", "runs-news", listKey],
    queryFn: ({ signal }) => {
      const changedSince: Flow_Run_Bool_Exp = { updated: { _gte: new Date(from - 1_000).toISOString() } };
      // What is further down than the list has been read is not new, it only was not shown.
      const above: Flow_Run_Bool_Exp = last ? { scheduled_start_time: { _gte: last } } : {};
      const ids = shown.current.map((row) => row.id).slice(0, PAGE);
      return request(NEWS, { ids, fresh: { _and: [listedOf(filters, Date.now()) as Flow_Run_Bool_Exp, changedSince, above] } }, signal);
    },
    enabled,
    meta: { interest: RUNS_CHANGE },
    // The list was just read: the first look is due when something happens.
    initialData: { changed: [], fresh: [] },
    refetchInterval: () => (live.link === "fresh" ? 60_000 : 10_000),
  });
  // What happens while the list is read may not be in it, and nobody else would look for it for a minute.
  const wasMissed = useRef(false);
  useNews((heard) => {
    if (!enabled && (heard === "all" || heard.hints.some((hint) => concerns(RUNS_CHANGE, hint)))) wasMissed.current = true;
  });
  const { refetch } = news;
  useEffect(() => {
    if (!enabled || !wasMissed.current) return;
    wasMissed.current = false;
    void refetch();
  }, [enabled, refetch]);
  useEffect(() => {
    const changed = new Map(news.data.changed.map((row) => [row.id, row] as const));
    if (changed.size === 0) return;
    queries.setQueryData<Pages>(listKey, (data) =>
      data && { ...data, pages: data.pages.map((page) => ({ ...page, flow_run: page.flow_run.map((row) => changed.get(row.id) ?? row) })) },
    );
  }, [news.data, listKey]);
  return news.data.fresh.filter((row) => !known.current.has(row.id)).length;
}
