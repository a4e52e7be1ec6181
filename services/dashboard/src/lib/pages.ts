/**
 * What holds for the rows after this one, in falling order of a time and then of the id. The first condition alone finds
 * the place by an index, however far down.
 */
export function afterInTime<Name extends string>(name: Name, row: { [N in Name]: unknown } & { id: string }) {
  const at = row[name];
  return { _and: [{ [name]: { _lte: at } }, { _or: [{ [name]: { _lt: at } }, { id: { _lt: row.id } }] }] };
}

/** Every row once, in the order in which it was read first; what was read last of it. */
export function uniqueRows<Row extends { id: string }>(pages: readonly (readonly Row[])[]): Row[] {
  return [...new Map(pages.flatMap((page) => page.map((row) => [row.id, row] as const))).values()];
}

/**
 * All rows of a list that is answered `size` at a time, in the order of their ids: `first` is the first page, `next` asks
 * for the one after an id. Past `most` rows it ends, and `isCut` says that there may be more.
 */
export async function allRows<Row extends { id: string }>(
  first: readonly Row[],
  { size, most, next }: { size: number; most: number; next: (after: string) => Promise<readonly Row[]> },
): Promise<{ rows: Row[]; isCut: boolean }> {
  const rows = [...first];
  let page = first;
  for (let last = page.at(-1); last && page.length === size && rows.length < most; last = page.at(-1)) {
    page = await next(last.id);
    for (const row of page) rows.push(row);
  }
  return { rows, isCut: page.length === size };
}
