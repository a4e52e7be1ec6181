import { QueryCache, QueryClient, useInfiniteQuery, useQuery, type Query, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import { ApiError, BASE, headersOf, request } from "../api/client";
import type { TypedDocumentString } from "../api/generated/graphql";
import { concerns, interestOf, paceAfter, type Interest, type Pace } from "../lib/events";
import { uniqueRows } from "../lib/pages";
import { isFinished } from "../lib/states";
import { EventStream, surroundings, type Link, type News } from "./stream";

/**
 * How often a page looks by itself, in seconds. With the stream a look is only a second thought: what changes is told.
 * But agents ask for work without a word about it, and hints of tasks and log lines may be lost.
 */
const EVERY = {
  withStream: { quiet: 60, live: 10, agents: 15 },
  without: { quiet: 30, live: 5, agents: 15 },
} as const;
const MAY_BE_LOST = ["task_run", "log"] as const;

/** A session may end while its page is open: then ask who the caller is, which leads to the log-in. */
function askAgainWho(error: unknown): void {
  if (error instanceof ApiError && error.kind === "unauthenticated") {
    void queries.invalidateQueries({ queryKey: ["session"] });
  }
}

export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      if (query.queryKey[0] !== "session") askAgainWho(error);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (count, error) => error instanceof ApiError && ["busy", "unreachable", "away"].includes(error.kind) && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});

/** The stream of the tenant that is shown, and who wants to know of it. */
class LiveStream {
  link: Link = "connecting";
  private stream: EventStream | null = null;
  private tenant: string | null = null;
  private readonly linkListeners = new Set<() => void>();
  private readonly newsListeners = new Set<(news: News) => void>();

  /** Listen for a tenant; the same one again changes nothing. */
  listenFor(tenant: string): () => void {
    if (this.tenant !== tenant) {
      this.stream?.stop();
      this.tenant = tenant;
      this.link = "connecting";
      const around = surroundings(BASE, tenant, () => headersOf(tenant), (word) => stream.hear(word));
      const stream: EventStream = new EventStream(around, {
        onLink: (link) => {
          this.link = link;
          for (const listener of this.linkListeners) listener();
        },
        onNews: (news) => {
          for (const listener of this.newsListeners) listener(news);
        },
        onRefusal: (status) => {
          if (status === "ended" || status === 401) void queries.invalidateQueries({ queryKey: ["session"] });
        },
      });
      this.stream = stream;
    }
    return () => {
      if (this.tenant !== tenant) return;
      this.stream?.stop();
      [this.stream, this.tenant] = [null, null];
    };
  }

  readonly onLink = (listener: () => void): (() => void) => {
    this.linkListeners.add(listener);
    return () => void this.linkListeners.delete(listener);
  };

  onNews(listener: (news: News) => void): () => void {
    this.newsListeners.add(listener);
    return () => void this.newsListeners.delete(listener);
  }
}

export const live = new LiveStream();

/** How it stands with the stream of events. */
export function useLink(): Link {
  return useSyncExternalStore(live.onLink, () => live.link);
}

/** Listen to the events of a tenant for as long as the component is there. */
export function useEvents(tenant: string | null): void {
  useEffect(() => (tenant === null ? undefined : live.listenFor(tenant)), [tenant]);
}

/** Be told of news as they come, whatever the tab shows. */
export function useNews(listener: (news: News) => void): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => live.onNews((news) => latest.current(news)), []);
}

/** How often each query was looked at because of hints, and how long its last answer took. */
const paces = new WeakMap<Query, Pace>();
const timers = new WeakMap<Query, ReturnType<typeof setTimeout>>();
const lasted = new WeakMap<Query, number>();

function interestIn(query: Query): Interest | undefined {
  return query.meta?.["interest"] as Interest | undefined;
}

function lookAgain(query: Query, interest: Interest): void {
  if (timers.has(query)) return;
  const now = Date.now();
  const pace = paceAfter(paces.get(query), interest, lasted.get(query) ?? 0, now);
  paces.set(query, pace);
  // Tabs hear the same hint in the same instant, and need not all ask in it.
  const jitter = 20 + Math.random() * 250;
  const timer = setTimeout(() => {
    timers.delete(query);
    if (query.state.fetchStatus === "fetching") {
      // Its answer may be older than the hint; it is not broken off, or a busy list would never be answered.
      lookAgain(query, interest);
      return;
    }
    const refetchType = document.hidden ? "none" : "active";
    void queries.invalidateQueries({ queryKey: query.queryKey, exact: true, refetchType });
  }, pace.at - now + jitter);
  timers.set(query, timer);
}

live.onNews((news) => {
  for (const query of queries.getQueryCache().getAll()) {
    const interest = interestIn(query);
    if (interest === undefined || !query.isActive()) continue;
    if (news === "all" || news.hints.some((hint) => concerns(interest, hint))) lookAgain(query, interest);
  }
});

/** Seconds until a page looks again by itself; a tab that is not seen never does. */
function every(interest: Interest, isLive: boolean): number {
  const hasStream = live.link === "fresh";
  const often = EVERY[hasStream ? "withStream" : "without"];
  const tells = hasStream && !MAY_BE_LOST.some((kind) => interest.kinds.has(kind));
  if (isLive && !tells) return often.live;
  return interest.kinds.has("agent") ? often.agents : often.quiet;
}

/**
 * What a page shows, kept fresh: at once when something happens to it, now and then else (`every` so many seconds, where
 * that is given), never while the tab is hidden.
 */
export function useLive<Data, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables: Variables,
  options: { isLive?: (data: Data) => boolean; enabled?: boolean; keep?: boolean; every?: number } = {},
): UseQueryResult<Data> {
  const text = operation.toString();
  const interest = interestOf(text, variables);
  return useQuery<Data>({
    queryKey: ["live", text, variables],
    queryFn: async ({ signal, queryKey }) => {
      const began = performance.now();
      const data = await request(operation, variables, signal);
      const query = queries.getQueryCache().find({ queryKey });
      if (query) lasted.set(query, performance.now() - began);
      return data;
    },
    enabled: options.enabled ?? true,
    meta: { interest },
    ...(options.keep ? { placeholderData: (previous: Data | undefined) => previous } : {}),
    refetchInterval: (query) => {
      const { data } = query.state;
      const isLive = data !== undefined && (options.isLive?.(data) ?? false);
      return (options.every ?? every(interest, isLive)) * 1000 * (0.9 + Math.random() * 0.2);
    },
  } as Parameters<typeof useQuery<Data>>[0]);
}

/** Rows of a page of a list that is read as far as somebody asks. */
const PAGE = 100;

/**
 * A list of runs that is read page by page: each page begins after the last row (`after`), and what is shown is kept fresh
 * as far as it was read. `about` names what the rows belong to.
 */
export function useLivePages<Row extends { id: string; state: string }, Where>(
  operation: TypedDocumentString<{ runs: Row[] }, { where: Where; limit: number }>,
  where: Where,
  after: (last: Row) => Where,
  about: readonly string[],
) {
  const text = operation.toString();
  const interest = interestOf(text, about);
  const query = useInfiniteQuery({
    queryKey: ["live", text, where],
    queryFn: async ({ pageParam, signal, queryKey }) => {
      const began = performance.now();
      const last = pageParam as Row | null;
      const asked = last === null ? where : ({ _and: [where, after(last)] } as Where);
      const page = await request(operation, { where: asked, limit: PAGE }, signal);
      const found = queries.getQueryCache().find({ queryKey });
      const pages = (found?.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 1;
      if (found) lasted.set(found, (performance.now() - began) * pages);
      return page;
    },
    initialPageParam: null as Row | null,
    getNextPageParam: (last): Row | undefined => (last.runs.length === PAGE ? last.runs.at(-1) : undefined),
    meta: { interest },
    refetchInterval: ({ state }) => {
      const isLive = state.data?.pages.some((page) => page.runs.some((run) => !isFinished(run.state))) ?? false;
      return every(interest, isLive) * 1000 * (0.9 + Math.random() * 0.2);
    },
  });
  const rows = useMemo(() => uniqueRows(query.data?.pages.map((page) => page.runs) ?? []), [query.data]);
  return { query, rows, size: PAGE };
}

/** Send a mutation, then look again at all that is on the page. Raises `ApiError` with the reason of a refusal. */
export async function act<Data extends object, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const data = await send(operation, variables);
  await lookAtAll();
  return data;
}

/** Look again at all that is on the page. */
export function lookAtAll(): Promise<void> {
  return queries.invalidateQueries({ queryKey: ["live"] });
}

/** Send a mutation for one thing after the other, then look again, once. Ends at the first refusal. */
export async function actOnEach<Data extends object, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  all: readonly Variables[],
): Promise<void> {
  try {
    for (const variables of all) await send(operation, variables);
  } finally {
    await lookAtAll();
  }
}

/** Send a mutation, and look at nothing. Raises `ApiError` with the reason of a refusal. */
export async function send<Data extends object, Variables>(operation: TypedDocumentString<Data, Variables>, variables: Variables): Promise<Data> {
  const data = await request(operation, variables).catch((error: unknown) => {
    askAgainWho(error);
    throw error;
  });
  for (const payload of Object.values(data) as ({ success?: boolean; error?: string | null } | null)[]) {
    if (payload?.success === false) {
      throw new ApiError(payload.error ?? "Headwater did not do it, and did not say why.", "refused");
    }
  }
  return data;
}
