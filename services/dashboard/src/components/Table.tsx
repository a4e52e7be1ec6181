import type { ReactNode } from "react";

/** A column: its name, what it shows of a row, and how: numbers at the right, buttons narrow, long texts cut. */
export type Column<Row> = { name: string; cell: (row: Row) => ReactNode; as?: As; width?: string };
type As = "num" | "acts" | "message" | "quiet" | "wrap" | "mono";

const CLASSES: Record<As, string> = { num: "num", acts: "acts", message: "small quiet message-cell", quiet: "quiet", wrap: "wrap", mono: "mono wrap" };

type FrameProps = {
  heads: readonly Pick<Column<never>, "name" | "as" | "width">[];
  /** How many rows there are, heads included, where not all of them are in the document. */
  rowCount?: number;
  children: ReactNode;
};

/** Names above whatever rows stand in `children`, in a box that scrolls sideways. */
export function TableFrame({ heads, rowCount, children }: FrameProps) {
  return (
    <div className="scroll">
      <table className="table" aria-rowcount={rowCount}>
        <thead>
          <tr>
            {heads.map(({ name, as, width }) => (
              <th key={name} scope="col" className={as === "num" ? "num" : undefined} style={{ width }}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        {children}
      </table>
    </div>
  );
}

/** Rows of one kind under names. `current` is the row that the page is about. */
export function Table<Row>({
  columns,
  rows,
  keyOf,
  current,
}: {
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  current?: string | undefined;
}) {
  return (
    <TableFrame heads={columns}>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} aria-current={current === undefined ? undefined : keyOf(row) === current}>
            <Cells columns={columns} row={row} />
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

/** What the columns show of one row. */
function Cells<Row>({ columns, row }: { columns: readonly Column<Row>[]; row: Row }) {
  return columns.map(({ name, cell, as }) => (
    <td key={name} className={as && CLASSES[as]}>
      {cell(row)}
    </td>
  ));
}
