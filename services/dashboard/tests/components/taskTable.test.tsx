import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { TaskTable } from "../../src/components/TaskTable";
import { show } from "../support/show";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const idOf = (number: number) => `0190a2b3-0000-7000-8000-${String(number).padStart(12, "0")}`;

function taskRun(number: number, more: object = {}) {
  return {
    id: idOf(number),
    name: null,
    map_index: -1,
    state: "Success",
    state_message: "Task run succeeded.",
    start_time: "2026-11-30T12:00:00Z",
    end_time: "2026-11-30T12:00:02Z",
    waiting_reason: null,
    task_id: idOf(1000 + number),
    task: { name: `task-${number}`, slug: `task-${number}`, mapped: false },
    ...more,
  };
}

const MAPPED = taskRun(2, { state: "Mapped", state_message: "Preparing to submit 500 mapped tasks.", task: { name: "load", slug: "load", mapped: true } });
const SUMMARY = [{ task_id: MAPPED.task_id, children: 500, state_counts: { Success: 496, Cached: 1, Failed: 2, TimedOut: 1 } }];

function child(index: number) {
  return taskRun(5000 + index, { map_index: index, state: index === 7 ? "Failed" : "Success", task: null, task_id: undefined });
}

const answers = {
  MappedChildren: ({ offset }: Record<string, unknown>) => ({ task_run: Array.from({ length: 200 }, (_, at) => child(Number(offset) + at)) }),
  FailedChildren: { task_run: [{ id: child(7).id, map_index: 7 }] },
};
const table = (runs: object[], mapped = SUMMARY) => show(<TaskTable slug="acme" flowRunId={RUN} runs={runs as never} mapped={mapped} />, { answers });
const rowOf = async (name: string) => (await screen.findByRole("link", { name })).closest("tr") as HTMLElement;

describe("the table of a run's tasks", () => {
  it("names each task with a link, its state, how long it took, and what it says", async () => {
    await table([taskRun(1)]);
    const row = within(await rowOf("task-1"));
    expect(row.getByRole("link").getAttribute("href")).toBe(`/acme/task-run/${idOf(1)}`);
    expect(row.getByText("Success")).toBeTruthy();
    expect(row.getByText("2.0 s")).toBeTruthy();
    expect(row.getByText("Task run succeeded.")).toBeTruthy();
    expect(row.queryByRole("button")).toBeNull();
  });

  it("says why a task waits, in place of its message", async () => {
    await table([taskRun(1, { state: "Queued", state_message: "Concurrency limit reached.", waiting_reason: "limit_full: tag heavy, limit 2" })]);
    const row = within(await rowOf("task-1"));
    expect(row.queryByText("Concurrency limit reached.")).toBeNull();
    expect(row.getByText(/heavy/)).toBeTruthy();
  });

  it("shows a mapped task as one row, with the number of its children in each family of states", async () => {
    await table([taskRun(1), MAPPED]);
    const row = within(await rowOf("load"));
    expect(screen.getAllByRole("row")).toHaveLength(3);
    // Cached counts as succeeded, a time limit as a failure.
    expect(row.getByRole("img", { name: "Succeeded" }).parentElement?.textContent).toContain("497");
    expect(row.getByRole("img", { name: "Failed" }).parentElement?.textContent).toContain("3");
  });

  it("opens a mapped task to its children, those that failed named first, and closes it again", async () => {
    const { user, gateway } = await table([taskRun(1), MAPPED]);
    const row = within(await rowOf("load"));
    await user.click(row.getByRole("button", { name: "Children" }));
    const children = await screen.findByRole("table", { name: "Children of load" });
    expect(children.getAttribute("aria-rowcount")).toBe("501");
    expect(await within(children).findByRole("link", { name: "load[0]" })).toBeTruthy();
    expect((await screen.findByRole("link", { name: "[7]" })).getAttribute("href")).toBe(`/acme/task-run/${child(7).id}`);
    // What is looked at is asked for: one page of three.
    expect(gateway.of("MappedChildren").map(({ offset }) => offset)).toEqual([0]);

    await user.click(row.getByRole("button", { name: "Close" }));
    await waitFor(() => expect(screen.queryByRole("table", { name: "Children of load" })).toBeNull());
  });

  it("has one task open at a time", async () => {
    const other = taskRun(3, { state: "Mapped", task: { name: "store", slug: "store", mapped: true } });
    const { user } = await table([MAPPED, other]);
    await user.click(within(await rowOf("load")).getByRole("button", { name: "Children" }));
    await user.click(within(await rowOf("store")).getByRole("button", { name: "Children" }));
    expect(await screen.findByRole("table", { name: "Children of store" })).toBeTruthy();
    expect(screen.queryByRole("table", { name: "Children of load" })).toBeNull();
  });

  it("says of a mapped task without counts nothing about them", async () => {
    await table([MAPPED], []);
    const row = within(await rowOf("load"));
    expect(row.getByRole("button", { name: "Children" })).toBeTruthy();
    expect(row.queryByRole("img", { name: "Failed" })).toBeNull();
  });
});
