import { QueryCache, QueryClient, useQuery, type UseQueryResult } from "@tanstack/react-query";

import { ApiError, request } from "../api/client";
import type { TypedDocumentString } from "../api/generated/graphql";

/** Seconds between two looks while something on the page may change by itself, and while nothing may. */
const BUSY = 5;
const IDLE = 30;

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
      retry: (count, error) => error instanceof ApiError && (error.kind === "busy" || error.kind === "unreachable") && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});

/** What a page shows, kept fresh: each few seconds while it is live, seldom else, never while the tab is hidden. */
export function useLive<Data, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables: Variables,
  options: { isLive?: (data: Data) => boolean; enabled?: boolean; keep?: boolean } = {},
): UseQueryResult<Data> {
  return useQuery<Data>({
    queryKey: ["live", operation.toString(), variables],
    queryFn: ({ signal }) => request(operation, variables, signal),
    enabled: options.enabled ?? true,
    ...(options.keep ? { placeholderData: (previous: Data | undefined) => previous } : {}),
    refetchInterval: (query) => {
      const { data } = query.state;
      const live = data !== undefined && (options.isLive?.(data) ?? false);
      return (live ? BUSY : IDLE) * 1000 * (0.9 + Math.random() * 0.2);
    },
  } as Parameters<typeof useQuery<Data>>[0]);
}

/** Send a mutation, then look again at all that is on the page. Raises `ApiError` with the reason of a refusal. */
export async function act<Data extends object, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const data = await request(operation, variables).catch((error: unknown) => {
    askAgainWho(error);
    throw error;
  });
  for (const payload of Object.values(data) as ({ success?: boolean; error?: string | null } | null)[]) {
    if (payload?.success === false) {
      throw new ApiError(payload.error ?? "Headwater did not do it, and did not say why.", "refused");
    }
  }
  await queries.invalidateQueries({ queryKey: ["live"] });
  return data;
}
