import { Button, Modal, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import type { BulkMutation } from "../api/generated/graphql";
import { queries } from "../app/live";
import { ACTIONS, inputOf, MOST, newKey, reasons, runs, type Action, type Chosen } from "../lib/bulk";
import { Problem } from "./basics";
import { AskForm, TypedWord } from "./Dialog";

export const BULK = graphql(`
  mutation Bulk($input: bulk_flow_runs_input!) {
    bulk_flow_runs(input: $input) {
      finished
      total
      done
      refused
      not_found
      pending
      items {
        id
        name
        outcome
        reason
      }
    }
  }
`);
const PROGRESS = graphql(`
  query BulkProgress($key: String!) {
    bulk_request(request_key: $key) {
      finished
      total
      done
      refused
      not_found
      pending
    }
    refused: bulk_request(request_key: $key, outcome: "refused", limit: 1000) {
      items {
        id
        reason
      }
    }
  }
`);

type Answer = NonNullable<BulkMutation["bulk_flow_runs"]>;

async function send(action: Action, chosen: Chosen, key: string, dryRun: boolean): Promise<Answer> {
  const input = inputOf(action, chosen, key, dryRun);
  const { bulk_flow_runs: answer } = await request(BULK, { input });
  if (!answer) throw new Error("Headwater gave no answer.");
  if (!dryRun) await queries.invalidateQueries({ queryKey: ["live"] });
  return answer;
}

/** Do something to one run, as the list does to many. Raises `Error` with the reason of a refusal. */
export async function toOne(action: Action, id: string): Promise<void> {
  const key = newKey();
  let answer = await send(action, { ids: [id] }, key, false);
  // It is done in batches beside others' work; one run takes a moment.
  for (let look = 0; !answer.finished && look < 60; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    answer = await send(action, { ids: [id] }, key, false);
  }
  const [item] = answer.items;
  if (item?.outcome !== "done") throw new Error(item?.reason ?? "There is no such run any more.");
  await queries.invalidateQueries({ queryKey: ["live"] });
}

/** A button that says first what will be done to which runs, does it once, and tells what came of each. */
export function BulkButton({ slug, action, chosen, disabled, onDone }: { slug: string; action: Action; chosen: Chosen; disabled: boolean; onDone: () => void }) {
  const [key, setKey] = useState<string | null>(null);
  const about = ACTIONS[action];
  return (
    <>
      <Button size="xs" variant="default" disabled={disabled} onClick={() => setKey(newKey())} {...(about.danger ? { c: "var(--failed)" } : {})}>
        {about.name}
      </Button>
      <Modal opened={key !== null} onClose={() => setKey(null)} title={`${about.name}: which runs?`} centered size="lg">
        {key !== null && (
          <Dialog
            slug={slug}
            action={action}
            chosen={chosen}
            requestKey={key}
            close={() => setKey(null)}
            onDone={onDone}
          />
        )}
      </Modal>
    </>
  );
}

type DialogProps = { slug: string; action: Action; chosen: Chosen; requestKey: string; close: () => void; onDone: () => void };

function Dialog({ slug, action, chosen: asked, requestKey, close, onDone }: DialogProps) {
  // What was chosen when the dialog was opened; the list goes on meanwhile.
  const [chosen] = useState(asked);
  const [typed, setTyped] = useState("");
  const [sent, setSent] = useState<Answer | null>(null);
  const dry = useQuery({
    queryKey: ["bulk", "dry", requestKey],
    queryFn: () => send(action, chosen, `${requestKey}-dry`, true),
    staleTime: Infinity,
    retry: false,
  });
  if (sent !== null) return <Result slug={slug} action={action} requestKey={requestKey} sent={sent} close={close} onDone={onDone} />;
  if (dry.error) return <Problem error={dry.error} />;
  if (!dry.data) return <p className="quiet" role="status">Looking which runs these are…</p>;
  const { total, items, not_found } = dry.data;
  const about = ACTIONS[action];
  const word = runs(total);
  const needsWord = action === "DELETE";
  return (
    <AskForm
      label={`${about.name} ${word}`}
      close={close}
      go={async () => setSent(await send(action, chosen, requestKey, false))}
      isReady={total > 0 && total <= MOST && (!needsWord || typed === word)}
      danger={about.danger ?? false}
      staysOpen
    >
      <p>
        <b>{word}</b> {total === 1 ? "is" : "are"} concerned. {about.text}
      </p>
      <ul className="small names">
        {items.slice(0, 5).map((item) => (
          <li key={item.id}>{item.name ?? item.id}</li>
        ))}
        {total > 5 && <li className="quiet">and {(total - Math.min(5, items.length)).toLocaleString("en")} more</li>}
      </ul>
      {not_found > 0 && <p className="small">{runs(not_found)} of those chosen {not_found === 1 ? "is" : "are"} no longer there.</p>}
      {total > MOST && <p className="small">One request takes {MOST.toLocaleString("en")} runs at most: narrow the filter.</p>}
      {needsWord && <TypedWord word={word} typed={typed} setTyped={setTyped} />}
    </AskForm>
  );
}

function Result({ slug, action, requestKey, sent, close, onDone }: { slug: string; action: Action; requestKey: string; sent: Answer; close: () => void; onDone: () => void }) {
  const query = useQuery({
    queryKey: ["bulk", requestKey],
    queryFn: ({ signal }) => request(PROGRESS, { key: requestKey }, signal),
    refetchInterval: ({ state }) => (state.data?.bulk_request?.finished ? false : 500),
  });
  const at = query.data?.bulk_request ?? sent;
  const items = query.data?.refused?.items ?? [];
  const of = Math.max(1, at.total);
  return (
    <div>
      <p role="status">
        <b>{runs(at.done)}</b> {ACTIONS[action].did}
        {at.refused > 0 && <>, {at.refused.toLocaleString("en")} refused</>}
        {at.not_found > 0 && <>, {at.not_found.toLocaleString("en")} gone meanwhile</>}
        {at.finished ? "." : `, ${at.pending.toLocaleString("en")} to go. It goes on when this page is closed.`}
      </p>
      <Progress.Root size="lg" aria-label="How far it is">
        <Progress.Section value={(100 * at.done) / of} color="var(--success)" aria-label="done" />
        <Progress.Section value={(100 * (at.refused + at.not_found)) / of} color="var(--failed)" aria-label="refused or gone" />
      </Progress.Root>
      {at.refused > 0 && (
        <>
          <h2>Why some were refused</h2>
          <ul className="small">
            {reasons(items).map(({ reason, count }) => (
              <li key={reason}>
                {count.toLocaleString("en")} × {reason}
              </li>
            ))}
          </ul>
          <p className="small" style={{ maxHeight: 120, overflow: "auto" }}>
            {items.map((item) => (
              <Link key={item.id} to="/$slug/flow-run/$id" params={{ slug, id: item.id }} style={{ marginRight: 8 }} onClick={close}>
                {item.id.slice(0, 8)}
              </Link>
            ))}
          </p>
        </>
      )}
      <div className="row ends">
        <Button
          onClick={() => {
            close();
            onDone();
          }}
          data-autofocus
        >
          Close
        </Button>
      </div>
    </div>
  );
}
