import { VisuallyHidden } from "@mantine/core";

import { graphql } from "../api/generated";
import { useSeldom } from "./seldom";

const UNREAD = graphql(`
  query Unread {
    message_aggregate(where: { read: { _eq: false } }, limit: 100) {
      aggregate {
        count
      }
    }
  }
`);

/** How many messages of the inbox nobody has read, beside its name in the navigation. */
export function Unread() {
  const { data } = useSeldom(UNREAD, {});
  const count = data?.message_aggregate.aggregate?.count ?? 0;
  if (count === 0) return null;
  return (
    <span className="word">
      {count >= 100 ? "99+" : count}
      <VisuallyHidden> unread</VisuallyHidden>
    </span>
  );
}
