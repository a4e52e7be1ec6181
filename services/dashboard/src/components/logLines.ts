import { useCallback, useEffect, useRef, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { Log_Bool_Exp } from "../api/generated/graphql";
import { useLink, useNews } from "../app/live";
import { cursorAfter, cursorBefore, cut, merge, type Line } from "../lib/logs";

const LINES = graphql(`
  query Lines($where: log_bool_exp!, $newest: [log_order_by!]!, $limit: Int!) {
    log(where: $where, order_by: $newest, limit: $limit) {
      id
      timestamp
      sequence
      level
      name
      message
      task_run_id
    }
  }
`);
const PAGE = 500;
const DESCENDING = [{ timestamp: "desc" as const }, { sequence: "desc" as const }];
const ASCENDING = [{ timestamp: "asc" as const }, { sequence: "asc" as const }];
/** Lines keep coming after a run has ended: its last batch may be under way. */
const AFTER_END = 20_000;
/** Milliseconds between two looks at the end of a log: where news come, and where they do not. */
const EVERY = { withStream: 15_000, without: 2_000 } as const;
/** News of many lines are one look. */
const GATHERS = 400;

/** A line to go to. */
export type Target = { id: string; timestamp: string; sequence: number };

type Asked = { where: Log_Bool_Exp; run: string | null; isLive: boolean; marked: string | undefined; target: Target | null; toEnd: boolean };

async function ask(condition: Log_Bool_Exp, order: typeof DESCENDING | typeof ASCENDING, limit = PAGE): Promise<Line[]> {
  return (await request(LINES, { where: condition, newest: order, limit })).log;
}

/** Lines on both sides of one, the line itself among them. */
async function around(where: Log_Bool_Exp, place: Pick<Target, "timestamp" | "sequence">): Promise<{ before: Line[]; after: Line[] }> {
  const [before, after] = await Promise.all([
    ask({ _and: [where, cursorBefore(place, true)] }, DESCENDING, PAGE / 2),
    ask({ _and: [where, cursorAfter(place)] }, ASCENDING, PAGE / 2),
  ]);
  return { before, after };
}

/** Lines in memory, and how they grow at both ends: the end of the log first, or the surroundings of a line. */
export function useLines({ where, run, isLive, marked, target, toEnd }: Asked) {
  const [lines, setLines] = useState<Line[] | null>(null);
  const [hasOlder, setHasOlder] = useState(true);
  const [hasNewer, setHasNewer] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const busy = useRef<Promise<void> | null>(null);
  const loaded = useRef<Line[]>([]);
  loaded.current = lines ?? [];

  /** Show these; a question that waits for its turn goes on from them, though nothing is drawn yet. */
  const put = useCallback((all: Line[]) => {
    loaded.current = all;
    setLines(all);
  }, []);

  /** One question at a time. A look that is in the way is left out; a place that somebody asked for waits its turn. */
  const tried = useCallback(async (work: () => Promise<void>, isAsked = false) => {
    if (busy.current !== null && !isAsked) return;
    const before = busy.current ?? Promise.resolve();
    const mine: Promise<void> = before
      .then(work)
      .then(() => setError(null), (reason: unknown) => setError(reason as Error))
      .finally(() => {
        if (busy.current === mine) busy.current = null;
      });
    busy.current = mine;
    await mine;
  }, []);

  const end = useCallback(async () => {
    const log = await ask(where, DESCENDING);
    put(merge([], log));
    setHasOlder(log.length === PAGE);
    setHasNewer(false);
  }, [where, put]);

  const goTo = useCallback(
    async (place: Pick<Target, "timestamp" | "sequence">) => {
      const { before, after } = await around(where, place);
      put(merge(merge([], before), after));
      setHasOlder(before.length === PAGE / 2);
      setHasNewer(after.length === PAGE / 2);
    },
    [where, put],
  );

  const first = useCallback(
    () =>
      tried(async () => {
        const [line] = marked ? await ask({ _and: [where, { id: { _eq: marked } }] }, DESCENDING, 1) : [];
        await (line ? goTo(line) : end());
      }, true),
    [tried, where, marked, goTo, end],
  );
  useEffect(() => void first(), [first]);

  // A line that is asked for and not in memory: its surroundings take the place of what is there.
  useEffect(() => {
    if (target && !loaded.current.some((line) => line.id === target.id)) void tried(() => goTo(target), true);
  }, [target, goTo, tried]);
  // Following begins at the end.
  useEffect(() => {
    if (toEnd && hasNewer) void tried(end, true);
  }, [toEnd, hasNewer, end, tried]);

  const older = useCallback(
    () =>
      tried(async () => {
        const oldest = loaded.current[0];
        if (!oldest || !hasOlder) return;
        const log = await ask({ _and: [where, cursorBefore(oldest)] }, DESCENDING);
        const all = merge(loaded.current, log);
        const kept = cut(all, "first");
        put(kept);
        setHasOlder(log.length === PAGE);
        if (kept !== all) setHasNewer(true);
      }),
    [tried, where, hasOlder, put],
  );

  const newer = useCallback(
    () =>
      tried(async () => {
        // At the end a little before the last line: lines of other processes may arrive late.
        const from = hasNewer ? loaded.current.at(-1) : (loaded.current.at(-50) ?? loaded.current[0]);
        const log = await ask(from ? { _and: [where, cursorAfter(from)] } : where, from ? ASCENDING : DESCENDING);
        const all = merge(loaded.current, log);
        // Who reads on downwards, or follows, has the end before them; who has stopped is not moved.
        const kept = toEnd || hasNewer ? cut(all, "last") : cut(all, "first");
        put(kept);
        if (kept !== all && kept[0] === all[0]) setHasNewer(true);
        else if (hasNewer) setHasNewer(log.length === PAGE);
        if (kept[0] !== all[0]) setHasOlder(true);
      }),
    [tried, where, hasNewer, toEnd, put],
  );
  useTail({ run, isLive, isAtEnd: !hasNewer, look: newer });
  return { lines, hasOlder, hasNewer, older, newer, error, again: first };
}

/** Look at the end of the log when lines were written, and now and then: news of lines may be lost. */
function useTail({ run, isLive, isAtEnd, look }: { run: string | null; isLive: boolean; isAtEnd: boolean; look: () => Promise<void> }): void {
  const latest = useRef(look);
  latest.current = look;
  const soon = useRef<ReturnType<typeof setTimeout> | null>(null);
  const isFresh = useLink() === "fresh";
  useNews((news) => {
    const isMine = news === "all" || news.hints.some((hint) => hint.kind === "log" && (run === null || hint.flow_run_id === run));
    if (!isMine || !isAtEnd || document.hidden || soon.current !== null) return;
    soon.current = setTimeout(() => {
      soon.current = null;
      void latest.current();
    }, GATHERS);
  });
  useEffect(() => () => clearTimeout(soon.current ?? undefined), []);
  useEffect(() => {
    const ends = isLive ? Infinity : Date.now() + AFTER_END;
    const every = isLive && isFresh ? EVERY.withStream : EVERY.without;
    const timer = setInterval(() => {
      if (Date.now() > ends) clearInterval(timer);
      else if (!document.hidden && isAtEnd) void latest.current();
    }, every);
    return () => clearInterval(timer);
  }, [isLive, isFresh, isAtEnd]);
}
