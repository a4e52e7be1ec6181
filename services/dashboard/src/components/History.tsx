import { When } from "./basics";
import { State } from "./State";
import { Table } from "./Table";

type Past = { id: string; state: string; message: string | null; timestamp: string; version: number };

/** The states that a run had, the newest first. */
export function History({ states }: { states: readonly Past[] }) {
  return (
    <Table
      rows={states}
      keyOf={(past) => past.id}
      columns={[
        { name: "Version", as: "num", cell: (past) => past.version },
        { name: "State", cell: (past) => <State state={past.state} /> },
        { name: "When", cell: (past) => <When at={past.timestamp} both /> },
        { name: "Message", as: "wrap", cell: (past) => past.message },
      ]}
    />
  );
}
