import { Button } from "@mantine/core";
import { useIsFetching, useQueryClient, type Query } from "@tanstack/react-query";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { ApiError } from "../api/client";
import { duration } from "../lib/time";
import { useLink, useNews } from "./live";
import { lookForUpgrade, outdated } from "./reload";

/** An answer that takes longer is worth a word. */
const SLOW = 4_000;

/** Say when what is shown may be behind, and why. What was seen last stays on the page, which goes on by itself. */
export function Connection() {
  const link = useLink();
  const trouble = useTrouble();
  const isLost = trouble?.kind === "unreachable" || link === "lost";
  const isSlow = useSlow();
  const isOutdated = useSyncExternalStore(outdated.subscribe, outdated.get);
  useUpgrade(isLost);
  if (isLost) {
    return (
      <Banner>Headwater cannot be reached. You see what was true a moment ago; the page goes on by itself.</Banner>
    );
  }
  if (trouble) return <Banner>{SENTENCES[trouble.kind]} You see what was true {ago(trouble.since)}; the page goes on by itself.</Banner>;
  if (isSlow) return <Banner>Headwater answers slowly: its database may be busy or away. The page waits for it.</Banner>;
  if (link === "stale") {
    return <Banner>Headwater’s message bus does not answer. What you see may be behind; the page looks now and then.</Banner>;
  }
  if (isOutdated) {
    return (
      <Banner>
        Headwater was upgraded. This page is renewed when you leave it.{" "}
        <Button size="compact-xs" variant="white" onClick={() => location.reload()}>
          Renew it now
        </Button>
      </Banner>
    );
  }
  return null;
}

const SENTENCES: Record<Trouble, string> = {
  unreachable: "Headwater cannot be reached.",
  away: "Headwater’s database does not answer.",
  slow: "Headwater’s database takes too long to answer.",
  busy: "Headwater has too much to do just now.",
};

function ago(since: number): string {
  return since === 0 ? "a moment ago" : duration(Math.max(1_000, Date.now() - since)).replace(/\.\d+/, "") + " ago";
}

function Banner({ children }: { children: React.ReactNode }) {
  return (
    <div className="banner" role="status">
      {children}
    </div>
  );
}

/** What keeps a question from being answered, the worst first. */
const TROUBLES = ["unreachable", "away", "slow", "busy"] as const;
type Trouble = (typeof TROUBLES)[number];
/** Milliseconds until what was not answered is asked again. Who was too slow has enough to do. */
const ASKED_AGAIN: Record<Trouble, number> = { unreachable: 3_000, away: 3_000, busy: 5_000, slow: 10_000 };

function troubleOf({ state }: Query): Trouble | null {
  const reason = state.error ?? state.fetchFailureReason;
  const kind = reason instanceof ApiError ? TROUBLES.find((each) => each === reason.kind) : undefined;
  if (kind === undefined) return null;
  // A question that was too much from the start is told in its place, and is not asked again and again.
  return kind === "slow" && state.dataUpdatedAt === 0 ? null : kind;
}

/** What on the page was not answered, and since when it is behind (0: it was never there); it is asked for again until it is. */
function useTrouble(): { kind: Trouble; since: number } | null {
  const client = useQueryClient();
  const troubled = useRef(new WeakMap<Query, Trouble>());
  const [trouble, setTrouble] = useState<{ kind: Trouble; since: number } | null>(null);
  useEffect(() => {
    const look = () => {
      const active = client.getQueryCache().findAll({ type: "active" }).filter((query) => troubled.current.has(query));
      const kind = TROUBLES.find((each) => active.some((query) => troubled.current.get(query) === each));
      const since = Math.min(...active.map((query) => query.state.dataUpdatedAt));
      setTrouble((now) => (kind === undefined ? null : now?.kind === kind && now.since === since ? now : { kind, since }));
    };
    return client.getQueryCache().subscribe(({ query, type }) => {
      if (type === "observerAdded" || type === "observerRemoved") return look();
      if (type !== "updated") return;
      const kind = troubleOf(query);
      if (kind !== null) troubled.current.set(query, kind);
      // An attempt that is under way has no reason any more, and is no answer yet.
      else if (query.state.fetchStatus !== "idle" || !troubled.current.delete(query)) return;
      look();
    });
  }, [client]);
  const kind = trouble?.kind;
  useEffect(() => {
    if (kind === undefined) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      // Where nothing is reached all of the page is behind, else only what was not answered.
      const predicate = (query: Query) => kind === "unreachable" || troubled.current.has(query);
      void client.refetchQueries({ type: "active", predicate }, { cancelRefetch: false });
    }, ASKED_AGAIN[kind]);
    return () => clearInterval(timer);
  }, [client, kind]);
  return trouble;
}

/** Whether some question has been under way for long. */
function useSlow(): boolean {
  const client = useQueryClient();
  const count = useIsFetching();
  const since = useRef(new WeakMap<Query, number>());
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const look = () => {
      const now = Date.now();
      const waiting = client.getQueryCache().findAll({ fetchStatus: "fetching", type: "active" });
      for (const query of waiting) if (!since.current.has(query)) since.current.set(query, now);
      setSlow(waiting.some((query) => now - (since.current.get(query) ?? now) > SLOW));
    };
    const unsubscribe = client.getQueryCache().subscribe(({ query, type }) => {
      if (type === "updated" && query.state.fetchStatus !== "fetching") since.current.delete(query);
    });
    look();
    const timer = count > 0 ? setInterval(look, 1_000) : undefined;
    return () => {
      unsubscribe();
      clearInterval(timer);
    };
  }, [client, count]);
  return slow;
}

/** A gateway that comes back may be a newer one; the stream says so too, where there is one. */
function useUpgrade(isLost: boolean): void {
  const wasLost = useRef(false);
  useEffect(() => {
    if (wasLost.current && !isLost) void lookForUpgrade();
    wasLost.current = isLost;
  }, [isLost]);
  useNews((news) => {
    if (news === "all" && !document.hidden) void lookForUpgrade();
  });
}
