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
