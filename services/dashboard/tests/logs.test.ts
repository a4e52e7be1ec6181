import { describe, expect, it } from "vitest";

import { cut, KEPT, type Line } from "../src/lib/logs";

const lines = (count: number): Line[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `${index}`, timestamp: "2026-11-30T12:00:00+00:00", sequence: index, level: "INFO", name: null, message: "", task_run_id: null,
  }));

describe("lines in memory", () => {
  it("are all kept up to a number, in the same array", () => {
    const few = lines(KEPT.most);
    expect(cut(few, "last")).toBe(few);
  });

  it("are let go at the end where nobody reads, many at once", () => {
    const many = lines(KEPT.most + 1);
    expect(cut(many, "last").at(-1)?.id).toBe(`${KEPT.most}`);
    expect(cut(many, "first")[0]?.id).toBe("0");
    expect(cut(many, "last")).toHaveLength(KEPT.cutTo);
    expect(cut(many, "first")).toHaveLength(KEPT.cutTo);
  });
});
