import { Button, SegmentedControl } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { BASE } from "../api/client";
import { graphql } from "../api/generated";
import type { InboxQuery } from "../api/generated/graphql";
import { act, actOnEach, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Command, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { LazyMarkdown } from "../components/lazy";
import { saidBy } from "../lib/inbox";
import { safeUrl } from "../lib/links";

const INBOX = graphql(`
  query Inbox($where: message_bool_exp!, $limit: Int!) {
    message(where: $where, order_by: [{ created: desc }, { id: desc }], limit: $limit) {
      id
      type
      text
      content
      read
      created
    }
  }
`);
const READ = graphql(`mutation MarkRead($id: UUID!) { mark_message_as_read(input: { message_id: $id }) { success error } }`);
const UNREAD = graphql(`mutation MarkUnread($id: UUID!) { mark_message_as_unread(input: { message_id: $id }) { success error } }`);
const DELETE = graphql(`mutation DeleteMessage($id: UUID!) { delete_message(input: { message_id: $id }) { success error } }`);
const PAGE = 100;

/** What was Headwater asked to tell us? The newest first. */
export function Inbox() {
  const { slug } = useParams({ from: "/$slug/inbox" });
  const { show } = useSearch({ from: "/$slug/inbox" });
  const navigate = useNavigate({ from: "/$slug/inbox" });
  const [limit, setLimit] = useState(PAGE);
  const showsAll = show === "all";
  const query = useLive(INBOX, { where: showsAll ? {} : { read: { _eq: false } }, limit }, { keep: true });
  return (
    <Page
      title="Inbox"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Which messages"
          value={showsAll ? "all" : "unread"}
          onChange={(chosen) => void navigate({ search: chosen === "all" ? { show: "all" } : {}, replace: true })}
          data={[{ value: "unread", label: "Unread" }, { value: "all", label: "All" }]}
        />
      }
    >
      <div className="card">
        <Loaded query={query} rows={8}>
          {({ message: rows }) =>
            rows.length === 0 ? (
              <Nothing slug={slug} showsAll={showsAll} />
            ) : (
              <>
                <Actions rows={rows} />
                <ul className="messages" aria-label="Messages">
                  {rows.map((row) => (
                    <Row key={row.id} slug={slug} row={row} />
                  ))}
                </ul>
                {rows.length === limit && (
                  <Button mt="md" variant="default" onClick={() => setLimit(limit + PAGE)}>
                    Show {PAGE} more
                  </Button>
                )}
              </>
            )
          }
        </Loaded>
      </div>
    </Page>
  );
}

function Nothing({ slug, showsAll }: { slug: string; showsAll: boolean }) {
  if (!showsAll) {
    return (
      <Empty title="Everything is read.">
        <Link to="/$slug/inbox" params={{ slug }} search={{ show: "all" }}>
          Show all messages
        </Link>
      </Empty>
    );
  }
  return (
    <Empty title="There are no messages.">
      <span>A cloud hook of the type PREFECT_MESSAGE writes here when a flow enters its states:</span>
      <Command text='mutation { create_cloud_hook(input: {type: PREFECT_MESSAGE, name: "to the inbox", states: ["Failed"], config: {}}) { id } }' />
    </Empty>
  );
}

function Actions({ rows }: { rows: InboxQuery["message"] }) {
  const { may } = useSession();
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const unread = rows.filter((row) => !row.read);
  if (unread.length === 0 || !may(READ)) return null;
  const readAll = async () => {
    setBusy(true);
    await actOnEach(READ, unread.map(({ id }) => ({ id }))).then(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
    setBusy(false);
  };
  return (
    <div className="row ends">
      {error && <span className="note fails" role="alert">{error}</span>}
      <Button size="xs" variant="default" loading={busy} onClick={() => void readAll()}>
        Mark {unread.length === 1 ? "it" : `these ${unread.length}`} as read
      </Button>
    </div>
  );
}

function Row({ slug, row }: { slug: string; row: InboxQuery["message"][number] }) {
  const { may } = useSession();
  const [error, setError] = useState<string | null>(null);
  const { title, body, run, taskRun, link } = saidBy(row);
  const href = link === null ? undefined : safeUrl(link, BASE);
  const mark = () =>
    (row.read ? act(UNREAD, { id: row.id }) : act(READ, { id: row.id })).then<void, void>(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
  return (
    <li>
      <div className="what">
        {row.read ? <span>{title}</span> : <b>{title}</b>}
        {!row.read && <span className="word">unread</span>}
        {body !== null && (
          <details>
            <summary>The whole message</summary>
            <LazyMarkdown text={body} />
          </details>
        )}
        <span className="row small quiet">
          <When at={row.created} />
          {run && (
            <Link to="/$slug/flow-run/$id" params={{ slug, id: run }}>
              To the run
            </Link>
          )}
          {taskRun && (
            <Link to="/$slug/task-run/$id" params={{ slug, id: taskRun }}>
              To the task run
            </Link>
          )}
          {href && (
            <a href={href} rel="noopener noreferrer">
              Open its link
            </a>
          )}
        </span>
        {error && <p className="note fails" role="alert">{error}</p>}
      </div>
      <span className="row">
        {may(row.read ? UNREAD : READ) && (
          <Button size="xs" variant="default" onClick={() => void mark()}>
            {row.read ? "Mark as unread" : "Mark as read"}
          </Button>
        )}
        {may(DELETE) && (
          <Confirmed label="Delete" title="Delete the message?" danger run={() => act(DELETE, { id: row.id })}>
            <p>It goes for everybody of the tenant. Nothing brings it back.</p>
          </Confirmed>
        )}
      </span>
    </li>
  );
}
