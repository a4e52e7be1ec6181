import { describe, expect, it } from "vitest";

import { allRows } from "../src/lib/pages";

const rows = (from: number, to: number) => Array.from({ length: Math.max(0, to - from) }, (_, at) => ({ id: String(from + at).padStart(6, "0") }));

/** A list of so many rows, answered by pages of ten; and how often it was asked. */
function list(length: number) {
  const asked: string[] = [];
  const next = (after: string) => {
    asked.push(after);
    return Promise.resolve(rows(Number(after) + 1, Math.min(length, Number(after) + 11)));
  };
  return { first: rows(0, Math.min(10, length)), next, asked };
}

describe("a list that is answered by pages", () => {
  it.each([0, 1, 9, 10, 11, 20, 35])("of %i rows is read whole, each once and in order", async (length) => {
    const { first, next } = list(length);
    const found = await allRows(first, { size: 10, most: 100, next });
    expect(found).toEqual({ rows: rows(0, length), isCut: false });
  });

  it("that fits in one page is asked for once", async () => {
    const { first, next, asked } = list(9);
    await allRows(first, { size: 10, most: 100, next });
    expect(asked).toEqual([]);
  });

  it("without an end is cut, and says so", async () => {
    const { first, next } = list(1_000);
    const found = await allRows(first, { size: 10, most: 100, next });
    expect([found.rows.length, found.isCut]).toEqual([100, true]);
  });
});
