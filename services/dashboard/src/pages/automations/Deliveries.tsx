import { Button, Select } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import type { DeliveriesQuery } from "../../api/generated/graphql";
import { act, useLive } from "../../app/live";
import { useSession } from "../../app/session";
import { Empty, Loaded, When } from "../../components/basics";
import { Confirmed } from "../../components/Dialog";
import { Shape } from "../../components/State";
import { Table } from "../../components/Table";
import { ACTIONS, EVENTS, isActionType } from "../../lib/automations";
import { STATUS_NAMES, statusOf, tryInWords } from "../../lib/deliveries";

const DELIVERIES = graphql(`
  query Deliveries($where: delivery_bool_exp!, $limit: Int!) {
    delivery(where: $where, order_by: [{ created: desc }, { id: desc }], limit: $limit) {
      id
      created
      status
      attempts
      due
      event_type
      last_error
      receiver
      hook {
        id
        name
      }
      action {
        id
        name
        action_type
      }
    }
  }
`);
const TRIES = graphql(`
  query TriesOfDelivery($id: uuid!) {
    delivery_attempt(where: { delivery_id: { _eq: $id } }, order_by: [{ number: desc }], limit: 50) {
      id
      number
      started
      status
      latency_ms
      answer
      error
    }
  }
`);
const REDELIVER = graphql(`mutation Redeliver($id: UUID!) { redeliver(input: { delivery_id: $id }) { success error } }`);
const PAGE = 100;

type Delivery = DeliveriesQuery["delivery"][number];

/** What was sent to whom, and what became of it? The newest first. */
export function Deliveries({ status, choose }: { status: string | undefined; choose: (status: string | undefined) => void }) {
  const [limit, setLimit] = useState(PAGE);
  const query = useLive(DELIVERIES, { where: status === undefined ? {} : { status: { _eq: status } }, limit }, { keep: true });
  return (
    <div className="card">
      <Select
        aria-label="How it stands"
        placeholder="All deliveries"
        data={STATUS_NAMES.map((value) => ({ value, label: statusOf(value).word }))}
        value={status ?? null}
        onChange={(chosen) => choose(chosen ?? undefined)}
        clearable
        style={{ maxWidth: 240, marginBottom: 12 }}
      />
      <Loaded query={query} rows={8}>
        {({ delivery: rows }) =>
          rows.length === 0 ? (
            <Empty title={status === undefined ? "Nothing was sent yet." : "None of them stands so."}>
              What an automation sends is listed here, with each try and the first KiB of each answer.
            </Empty>
          ) : (
            <>
              <Rows rows={rows} />
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
  );
}

function eventName(type: string): string {
  return Object.hasOwn(EVENTS, type) ? EVENTS[type as keyof typeof EVENTS] : type;
}

function nameOf({ hook, action }: Delivery): string {
  const type = action?.action_type ?? "";
  return hook?.name ?? action?.name ?? (isActionType(type) ? ACTIONS[type].label : "a cloud hook, or what was deleted");
}

function Rows({ rows }: { rows: readonly Delivery[] }) {
  const { may } = useSession();
  return (
    <Table
      rows={rows}
      keyOf={(row) => row.id}
      columns={[
        { name: "When", cell: (row) => <When at={row.created} /> },
        { name: "Of", cell: (row) => <b>{nameOf(row)}</b> },
        { name: "Because", cell: (row) => eventName(row.event_type) },
        {
          name: "How it stands",
          cell: (row) => {
            const { word, family } = statusOf(row.status);
            return (
              <>
                <span className="state">
                  <Shape family={family} label={word} /> {word}
                </span>
                {row.status === "pending" && row.attempts > 0 && (
                  <div className="small quiet">
                    next try <When at={row.due} />
                  </div>
                )}
              </>
            );
          },
        },
        { name: "Tries", width: "32%", cell: (row) => <Tries row={row} /> },
        {
          name: "",
          as: "acts",
          cell: (row) =>
            row.status !== "pending" &&
            may(REDELIVER) && (
              <Confirmed label="Send again" title={`Send ${nameOf(row)} again?`} run={() => act(REDELIVER, { id: row.id })}>
                <p>The receiver gets the same event under the same key, and knows it by that if it has it already.</p>
              </Confirmed>
            ),
        },
      ]}
    />
  );
}

/** How often it was tried and what was the matter; each try on demand. */
function Tries({ row }: { row: Delivery }) {
  const [opened, setOpened] = useState(false);
  if (row.attempts === 0) return <span className="quiet">not tried yet</span>;
  return (
    <>
      <Button size="compact-xs" variant="subtle" aria-expanded={opened} onClick={() => setOpened(!opened)}>
        {row.attempts === 1 ? "1 try" : `${row.attempts} tries`}
      </Button>
      {row.receiver !== null && <span className="small quiet wrap"> {row.receiver}</span>}
      {row.last_error !== null && <div className="small wrap">{row.last_error}</div>}
      {opened && <TryList id={row.id} />}
    </>
  );
}

function TryList({ id }: { id: string }) {
  const query = useLive(TRIES, { id });
  return (
    <Loaded query={query} rows={2}>
      {({ delivery_attempt: tries }) => (
        <ol className="names" reversed start={tries[0]?.number ?? 1}>
          {tries.map((each) => (
            <li key={each.id}>
              <span className="small">
                <When at={each.started} both /> {tryInWords(each)}
              </span>
              {each.answer !== null && each.answer !== "" && <pre className="command wrap">{each.answer}</pre>}
            </li>
          ))}
        </ol>
      )}
    </Loaded>
  );
}
