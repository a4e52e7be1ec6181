import { expect, it } from "vitest";

import { inputOf, newKey, reasons, runs } from "../src/lib/bulk";

it("names each request differently, also where browsers have no randomUUID", () => {
  const names = new Set(Array.from({ length: 1000 }, () => newKey()));
  expect(names.size).toBe(1000);
});

it("asks for the runs that were chosen, or for all that match", () => {
  expect(inputOf("CANCEL", { ids: ["a"] }, "key", true)).toEqual({ action: "CANCEL", request_key: "key", dry_run: true, ids: ["a"] });
  expect(inputOf("DELETE", { where: { a: 1 } }, "key", false)).toMatchObject({ where: { a: 1 }, dry_run: false });
});

it("counts refusals by their reason, whatever version they name", () => {
  const refused = ["It moved on since version 3.", "It has finished.", "It moved on since version 12."].map((reason) => ({ reason }));
  expect(reasons(refused)).toEqual([
    { reason: "It moved on since version N.", count: 2 },
    { reason: "It has finished.", count: 1 },
  ]);
});

it("says how many runs go", () => expect([runs(1), runs(2340)]).toEqual(["1 run", "2,340 runs"]));
