import { Button } from "@mantine/core";
import type { ReactNode } from "react";

import type { TypedDocumentString } from "../api/generated/graphql";
import { useLivePages } from "../app/live";
import { usePreferences } from "../app/preferences";
import { isFinished } from "../lib/states";
import { took } from "../lib/time";
import { Loaded, Took, When } from "./basics";
import { WhyWaiting } from "./runs";
import { State } from "./State";
import { Table, type Column } from "./Table";

/** A flow run or a task run, as far as every table of runs shows it. */
export type TableRun = {
  id: string;
  state: string;
  state_message: string | null;
  start_time: string | null;
  end_time: string | null;
  scheduled_start_time?: string;
  waiting_reason?: string | null;
};

type Shown<Row> = {
  slug: string;
  /** What names a run: the first columns. */
  named: readonly Column<Row>[];
  /** Further columns, before the message. */
  more?: readonly Column<Row>[];
  current?: string;
};

/** Runs with their state, when they started, how long they took, and what they say. */
export function RunTable<Row extends TableRun>({ slug, runs, named, more = [], current }: Shown<Row> & { runs: readonly Row[] }) {
  const { now } = usePreferences();
  const columns: readonly Column<Row>[] = [
    ...named,
    { name: "State", cell: (run) => <State state={run.state} scheduled={run.scheduled_start_time ?? null} now={now} /> },
    { name: "Started", cell: (run) => <When at={run.start_time ?? run.scheduled_start_time} /> },
    { name: "Took", as: "num", cell: (run) => <Took ms={took(run.start_time, hasEnd(run) ? run.end_time : null, now)} /> },
    ...more,
    {
      name: "Message",
      as: "message",
      cell: (run) => (run.waiting_reason ? <WhyWaiting slug={slug} reason={run.waiting_reason} /> : <Message text={run.state_message} />),
    },
  ];
  return <Table columns={columns} rows={runs} keyOf={(run) => run.id} current={current} />;
}

/** A mapped task has ended when its children have; its state says that they were made. */
const hasEnd = (run: TableRun) => isFinished(run.state) || run.state === "Mapped";

function Message({ text }: { text: string | null }) {
  return (
    <span className="cut" title={text ?? ""}>
      {text?.slice(0, 300)}
    </span>
  );
}

type Paged<Row, Where> = Shown<Row> & {
  /** Asks for `runs`, `limit` of them, in the order that `after` goes by. */
  of: TypedDocumentString<{ runs: Row[] }, { where: Where; limit: number }>;
  where: Where;
  /** What holds for the rows after this one. */
  after: (last: Row) => Where;
  /** Ids of what the runs belong to: hints of others are not about this list. */
  about: readonly string[];
  empty: ReactNode;
};

/** The same, page by page: the next page begins after the last row, however far down it is. */
export function PagedRuns<Row extends TableRun, Where>({ of, where, after, about, empty, ...shown }: Paged<Row, Where>) {
  const { query, rows, size } = useLivePages(of, where, after, about);
  return (
    <>
      <Loaded query={query} rows={6}>
        {() => (rows.length === 0 ? empty : <RunTable {...shown} runs={rows} />)}
      </Loaded>
      {query.hasNextPage && (
        <Button mt="md" variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show {size} more
        </Button>
      )}
    </>
  );
}
