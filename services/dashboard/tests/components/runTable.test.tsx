import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { ChildrenByPages } from "../../src/components/ChildrenByPages";
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
    const { user } = await show(<ChildrenByPages slug="acme" flowRunId={RUN} taskId={TASK} shown={child(3).id} empty="none" />, { answers: { SiblingsOfTask: page } });
    expect(await screen.findByRole("link", { name: "[99]" })).toBeTruthy();
    expect(screen.queryByRole("link", { name: "[100]" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Show 100 more" }));
    expect(await screen.findByRole("link", { name: "[149]" })).toBeTruthy();
    expect(screen.getAllByRole("row")).toHaveLength(151);
    expect(screen.queryByRole("button", { name: "Show 100 more" })).toBeNull();
  });

  it("marks the run whose page it is, which is no link", async () => {
    await show(<ChildrenByPages slug="acme" flowRunId={RUN} taskId={TASK} shown={child(3).id} empty="none" />, { answers: { SiblingsOfTask: page } });
    const row = (await screen.findByText("[3]")).closest("tr");
    expect(row?.getAttribute("aria-current")).toBe("true");
    expect(within(row as HTMLElement).queryByRole("link")).toBeNull();
    expect(within(row as HTMLElement).getByText("1 min 30 s")).toBeTruthy();
  });

  it("says what it is told to say when there is nothing", async () => {
    await show(<ChildrenByPages slug="acme" flowRunId={RUN} taskId={TASK} empty="No child is in this state." />, { answers: { SiblingsOfTask: { runs: [] } } });
    expect(await screen.findByText("No child is in this state.")).toBeTruthy();
  });
});
