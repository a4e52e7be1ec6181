import type { UseQueryResult } from "@tanstack/react-query";
import { useLocation } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import type { TypedDocumentString } from "../api/generated/graphql";
import { pageIsSettled } from "./later";
import { useLive } from "./live";

/** Seconds between two looks of a tab that nobody touches. The frame's questions must not crowd out the page's own. */
const EVERY = 300;
/** Milliseconds for which an answer is new enough for the next page. */
const NEW_ENOUGH = 30_000;

/** What stands in the frame of every page, and of which no event tells: looked at now and then, and with each step to another page. */
export function useSeldom<Data, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables: Variables,
  options: { enabled?: boolean } = {},
): UseQueryResult<Data> {
  const { pathname } = useLocation();
  const [isSettled, setSettled] = useState(false);
  useEffect(() => void pageIsSettled().then(() => setSettled(true)), []);
  // Not before the page: what it asks itself comes first.
  const query = useLive(operation, variables, { enabled: isSettled && options.enabled !== false, every: EVERY });
  const { refetch, dataUpdatedAt } = query;
  useEffect(() => {
    const isOld = dataUpdatedAt > 0 && Date.now() - dataUpdatedAt > NEW_ENOUGH;
    if (isOld && options.enabled !== false) void refetch({ cancelRefetch: false });
    // Only a step is a reason.
  }, [pathname]);
  return query;
}
