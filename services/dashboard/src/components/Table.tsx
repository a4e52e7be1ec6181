import type { ReactNode } from "react";

/** A column: its name, what it shows of a row, and how: numbers at the right, buttons narrow, long texts cut. */
export type Column<Row> = { name: string; cell: (row: Row) => ReactNode; as?: "num" | "acts" | "message" | "quiet" | "wrap" | "mono" };

const CLASSES = { num: "num", acts: "acts", message: "small quiet message-cell", quiet: "quiet", wrap: "wrap", mono: "mono wrap" } as const;

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
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            {columns.map(({ name, as }) => (
              <th key={name} scope="col" className={as === "num" ? "num" : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} aria-current={current === undefined ? undefined : keyOf(row) === current}>
              {columns.map(({ name, cell, as }) => (
                <td key={name} className={as && CLASSES[as]}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
