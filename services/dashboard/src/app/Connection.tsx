import { Button } from "@mantine/core";
import { useIsFetching, useQueryClient, type Query } from "@tanstack/react-query";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { ApiError } from "../api/client";
import { useLink, useNews } from "./live";
import { lookForUpgrade, outdated } from "./reload";

const AGAIN_EVERY = 3_000;
/** An answer that takes longer is worth a word. */
const SLOW = 4_000;

/** Say when what is shown may be behind, and why. What was seen last stays on the page, which goes on by itself. */
export function Connection() {
  const link = useLink();
  const isUnreachable = useUnreachable();
  const isLost = isUnreachable || link === "lost";
  const isSlow = useSlow();
  const isOutdated = useSyncExternalStore(outdated.subscribe, outdated.get);
  useUpgrade(isLost);
  if (isLost) {
    return (
      <Banner>Headwater cannot be reached. You see what was true a moment ago; the page goes on by itself.</Banner>
    );
  }
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

function Banner({ children }: { children: React.ReactNode }) {
  return (
    <div className="banner" role="status">
      {children}
    </div>
  );
}

/** Whether the last question was not answered; then all that is shown is asked for again until it is. */
function useUnreachable(): boolean {
  const client = useQueryClient();
  const [lost, setLost] = useState(false);
  useEffect(
    () =>
      client.getQueryCache().subscribe(({ query, type }) => {
        if (type !== "updated") return;
        const { status, error, fetchFailureReason } = query.state;
        const reason = error ?? fetchFailureReason;
        if (reason instanceof ApiError && reason.kind === "unreachable") setLost(true);
        else if (status === "success" && query.state.fetchStatus === "idle" && !reason) setLost(false);
      }),
    [client],
  );
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(() => {
      if (!document.hidden) void client.refetchQueries({ type: "active" }, { cancelRefetch: false });
    }, AGAIN_EVERY);
    return () => clearInterval(timer);
  }, [client, lost]);
  return lost;
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
