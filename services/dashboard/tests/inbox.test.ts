import { describe, expect, it } from "vitest";

import { saidBy } from "../src/lib/inbox";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const said = (type: string | null, content: unknown, text: string | null = null) =>
  saidBy({ id: "1", type, text, content, read: false, created: "2026-11-30T00:00:00Z" });

describe("a message of the inbox", () => {
  it("of a cloud hook leads to its run", () => {
    const { title, run } = said("CLOUD_HOOK", { event: { id: RUN, state: "Failed", flow: { name: "orders" } } });
    expect([title, run]).toEqual(["A run of orders is Failed", RUN]);
  });

  it("says its own text before one that is made up", () => {
    expect(said("CLOUD_HOOK", { event: { id: RUN, state: "Failed", flow: { name: "orders" } } }, "Run a of orders failed").title).toBe("Run a of orders failed");
  });

  it("that waits for an approval leads to its task run", () => {
    expect(said("REQUIRES_APPROVAL", { task_run: { id: RUN, task_id: "t" } })).toMatchObject({ title: "A task run waits for an approval", taskRun: RUN });
  });

  it("with a title and a text keeps both apart", () => {
    expect(said("MESSAGE", { title: "News", message: "*much*" })).toMatchObject({ title: "News", body: "*much*" });
    expect(said("WHATS_NEW", { title: "News", body: "much", link: "https://x.example" })).toMatchObject({ body: "much", link: "https://x.example" });
  });

  it("of any type and shape is a line of text, never nothing", () => {
    for (const content of [null, 7, "x", [], {}, { event: null }, { event: { id: 7, flow: "x" } }, { title: { a: 1 } }, { task_run: [] }]) {
      for (const type of [null, "CLOUD_HOOK", "MESSAGE", "constructor", "__proto__"]) {
        const { title, run, taskRun } = said(type, content);
        expect(title).not.toBe("");
        expect([run, taskRun]).toEqual([null, null]);
      }
    }
  });

  it("whose line is long or has several is cut, and is whole in its body", () => {
    const long = "x".repeat(5_000);
    expect(said("MESSAGE", {}, long)).toMatchObject({ title: `${"x".repeat(200)}…`, body: long });
    expect(said("MESSAGE", {}, "one\ntwo")).toMatchObject({ title: "one…", body: "one\ntwo" });
  });
});
