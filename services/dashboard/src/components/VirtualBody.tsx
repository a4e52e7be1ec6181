import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef, useState, type ReactNode, type Ref } from "react";

/** A short table is drawn whole: it can be searched and printed as any other. */
const SHORT = 60;

/** What a row gives its `tr`. */
export type RowProps = { ref?: Ref<HTMLTableRowElement>; "data-index"?: number; "aria-rowindex"?: number };

type Props<Row> = {
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** How high a row is, about, in pixels; it is measured when it is seen. */
  estimate: number;
  columns: number;
  children: (row: Row, props: RowProps) => ReactNode;
};

/**
 * The body of a table on a page that scrolls as a whole. Of a long one only the rows near the screen are there; empty
 * rows stand for those above and below. Its `table` says with `aria-rowcount` how many there are.
 */
export function VirtualBody<Row>({ rows, keyOf, estimate, columns, children }: Props<Row>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [scrollMargin, setScrollMargin] = useState(0);
  const isLong = rows.length > SHORT;
  const virtual = useWindowVirtualizer({
    count: isLong ? rows.length : 0,
    estimateSize: () => estimate,
    overscan: 15,
    scrollMargin,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
  });
  // What stands above the table comes and goes with its answers.
  useLayoutEffect(() => {
    if (!isLong || body.current === null) return;
    const top = Math.round(body.current.getBoundingClientRect().top + window.scrollY);
    if (top !== scrollMargin) setScrollMargin(top);
  });
  if (!isLong) return <tbody>{rows.map((row) => children(row, {}))}</tbody>;
  const items = virtual.getVirtualItems();
  const above = (items[0]?.start ?? scrollMargin) - scrollMargin;
  const below = virtual.getTotalSize() - ((items.at(-1)?.end ?? scrollMargin) - scrollMargin);
  return (
    <tbody ref={body}>
      <Gap height={above} columns={columns} />
      {items.map((item) => {
        const row = rows[item.index];
        // The head is the first row.
        return row && children(row, { ref: virtual.measureElement, "data-index": item.index, "aria-rowindex": item.index + 2 });
      })}
      <Gap height={below} columns={columns} />
    </tbody>
  );
}

function Gap({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden="true">
      <td colSpan={columns} style={{ height, padding: 0, border: 0 }} />
    </tr>
  );
}
