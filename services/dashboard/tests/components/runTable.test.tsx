import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Children } from "../../src/components/Children";
import { TaskTable } from "../../src/components/TaskTable";
import { show } from "../support/show";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const TASK = "0190a2b3-0000-7000-8000-000000000002";

function child(index: number, more: object = {}) {
  return {
    id: `0190a2b3-0000-7000-8000-${String(index + 10).padStart(12, "0")}`,
    map_index: index,
    state: "Success",
    state_message: "Task run succeeded.",
    start_time: "2026-11-30T12:00:00Z",
    end_time: "2026-11-30T12:01:30Z",
    waiting_reason: null,
    ...more,
  };
}

describe("a list of runs by pages", () => {
  const children = Array.from({ length: 150 }, (_, index) => child(index));
  const page = ({ where }: Record<string, unknown>) => {
    const after = /"map_index":\{"_gt":(\d+)\}/.exec(JSON.stringify(where))?.[1];
    const from = after === undefined ? 0 : Number(after) + 1;
    return { runs: children.slice(from, from + 100) };
  };

  it("shows the next page after the last row, until there is none", async () => {
    const { user } = await show(<Children slug="acme" flowRunId={RUN} taskId={TASK} shown={child(3).id} empty="none" />, { answers: { MappedChildren: page } });
    expect(await screen.findByRole("link", { name: "[99]" })).toBeTruthy();
    expect(screen.queryByRole("link", { name: "[100]" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Show 100 more" }));
    expect(await screen.findByRole("link", { name: "[149]" })).toBeTruthy();
    expect(screen.getAllByRole("row")).toHaveLength(151);
    expect(screen.queryByRole("button", { name: "Show 100 more" })).toBeNull();
  });

  it("marks the run whose page it is, which is no link", async () => {
    await show(<Children slug="acme" flowRunId={RUN} taskId={TASK} shown={child(3).id} empty="none" />, { answers: { MappedChildren: page } });
    const row = (await screen.findByText("[3]")).closest("tr");
    expect(row?.getAttribute("aria-current")).toBe("true");
    expect(within(row as HTMLElement).queryByRole("link")).toBeNull();
    expect(within(row as HTMLElement).getByText("1 min 30 s")).toBeTruthy();
  });

  it("says what it is told to say when there is nothing", async () => {
    await show(<Children slug="acme" flowRunId={RUN} taskId={TASK} empty="No child is in this state." />, { answers: { MappedChildren: { runs: [] } } });
    expect(await screen.findByText("No child is in this state.")).toBeTruthy();
  });
});

describe("the tasks of a run", () => {
  const task = (name: string, more: object = {}) => ({ ...child(-1), id: `0190a2b3-0000-7000-8000-00000000${name.length.toString().padStart(4, "0")}`, name: null, task_id: TASK, task: { name, slug: name, mapped: false }, ...more });

  it("are a row each; a mapped one has its counts, those that failed, and its children", async () => {
    const { user, gateway } = await show(
      <TaskTable
        slug="acme"
        flowRunId={RUN}
        runs={[task("extract"), task("clean", { state: "Mapped", task: { name: "clean", slug: "clean", mapped: true } })]}
        mapped={[{ task_id: TASK, state_counts: { Success: 9_998, Failed: 1, TimedOut: 1 } }]}
      />,
      { answers: { MappedChildren: { runs: [child(0)] }, FailedChildren: { task_run: [{ id: child(9_999).id, map_index: 9_999 }] } } },
    );
    const row = (await screen.findByText("clean")).closest("tr") as HTMLElement;
    expect(within(row).getByText("9,998")).toBeTruthy();
    expect(within(row).getByRole("img", { name: "Failed" }).parentElement?.textContent).toContain("2");
    expect(gateway.of("MappedChildren")).toEqual([]);
    await user.click(within(row).getByRole("button", { name: "Children" }));
    expect((await screen.findByRole("link", { name: "[9999]" })).getAttribute("href")).toBe(`/acme/task-run/${child(9_999).id}`);
    expect(await screen.findByRole("link", { name: "[0]" })).toBeTruthy();
  });

  it("that wait say for what, in place of their message", async () => {
    await show(<TaskTable slug="acme" flowRunId={RUN} runs={[task("load", { state: "Pending", waiting_reason: "upstream_unfinished: clean" })]} mapped={[]} />);
    expect(await screen.findByText("It waits for clean.")).toBeTruthy();
    await waitFor(() => expect(screen.queryByText("Task run succeeded.")).toBeNull());
  });
});
