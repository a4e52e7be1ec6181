import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { live } from "../../src/app/live";
import type { News } from "../../src/app/stream";
import { filtersFrom } from "../../src/lib/filters";
import { Runs } from "../../src/pages/Runs";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const EVIL = "<img src=x onerror=alert(1)> \u202eevil";

function run(number: number, more: object = {}) {
  return {
    id: `0190a2b3-0000-7000-8000-${String(number).padStart(12, "0")}`,
    name: `run-${number}`,
    state: "Success",
    state_message: "All reference tasks succeeded.",
    scheduled_start_time: "2026-11-30T11:00:00Z",
    start_time: "2026-11-30T11:00:01Z",
    end_time: "2026-11-30T11:00:05.200Z",
    labels: [],
    late_reason: null,
    flow: { name: "orders", project: { name: "Warehouse" } },
    ...more,
  };
}

const rest: Answers = {
  ProjectNames: { project: [] },
  RunBuckets: { flow_run_buckets: [] },
  RunsNews: { changed: [], fresh: [] },
};
const opened = (answers: Answers, { role = "tenant_admin", at = "/runs" } = {}) =>
  show(<Runs />, { answers: { ...rest, ...answers }, role, path: "/runs", at, search: filtersFrom });
const rows = async () => within(await screen.findByRole("rowgroup", { name: "Rows of runs" })).findAllByRole("row");

describe("a row of the list of runs", () => {
  it("names the run with a link, its state, its flow, and how long it took", async () => {
    await opened({ Runs: { flow_run: [run(1)] } });
    const [row] = await rows();
    const shown = within(row as HTMLElement);
    expect(shown.getByRole("link", { name: "run-1" }).getAttribute("href")).toBe(`/acme/flow-run/${run(1).id}`);
    expect(shown.getByText("Success")).toBeTruthy();
    expect(shown.getByText("orders", { exact: false })).toBeTruthy();
    expect(shown.getByText("4.2 s")).toBeTruthy();
  });

  it("says why a late run is late, with the link to its cause", async () => {
    const late = { state: "Scheduled", start_time: null, end_time: null, late_reason: "no_matching_agent", labels: ["gpu"] };
    await opened({ Runs: { flow_run: [run(1, late)] } });
    const [row] = await rows();
    const shown = within(row as HTMLElement);
    expect(shown.getByText("Late")).toBeTruthy();
    expect(shown.getByText(/No agent has all of its labels \(gpu\)/)).toBeTruthy();
    expect(shown.getByRole("link", { name: "See the agents" }).getAttribute("href")).toBe("/acme/agents");
  });

  it("shows a hostile name as the text that it is", async () => {
    await opened({ Runs: { flow_run: [run(1, { name: EVIL, flow: { name: EVIL, project: null } })] } });
    const [row] = await rows();
    expect(within(row as HTMLElement).getAllByRole("link", { name: EVIL })).toHaveLength(2);
    expect(row?.querySelector("img")).toBeNull();
  });

  it("offers a reader nothing to choose", async () => {
    await opened({ Runs: { flow_run: [run(1)] } }, { role: "read_only" });
    const [row] = await rows();
    expect(within(row as HTMLElement).queryByRole("checkbox")).toBeNull();
    expect(screen.queryByText("Choose all that match")).toBeNull();
  });
});

describe("the list of runs", () => {
  it("says that nothing matches, with the way back to all runs", async () => {
    await opened({ Runs: { flow_run: [] } }, { at: "/runs?q=nothing" });
    expect(await screen.findByText("No run matches.")).toBeTruthy();
    expect(screen.getByRole("link", { name: "Show all runs" }).getAttribute("href")).toBe("/acme/runs");
  });

  it("says why it was refused, and asks again when somebody wants it", async () => {
    let answer: unknown = new Refusal("The query asks for too much.");
    const { user } = await opened({ Runs: () => answer });
    expect(await screen.findByText("The query asks for too much.")).toBeTruthy();
    answer = { flow_run: [run(7)] };
    await user.click(screen.getByRole("button", { name: "Try again" }));
    expect(await rows()).toHaveLength(1);
  });

  it("begins the next page after its last row, whatever came in above meanwhile", async () => {
    const page = Array.from({ length: 100 }, (_, index) => run(200 - index));
    const { gateway } = await opened({ Runs: ({ where }) => ({ flow_run: JSON.stringify(where).includes(page[99]?.id ?? "") ? [run(1)] : page }) });
    await rows();
    // Rows beyond the last page are fetched as they come near.
    const box = screen.getByRole("rowgroup", { name: "Rows of runs" });
    box.scrollTop = 3_400;
    box.dispatchEvent(new Event("scroll"));
    await waitFor(() => expect(gateway.of("Runs")).toHaveLength(2));
    expect(gateway.of("Runs")[1]).toMatchObject({
      where: { _and: [expect.anything(), { _and: [{ scheduled_start_time: { _lte: "2026-11-30T11:00:00Z" } }, expect.anything()] }] },
    });
  });

  it("counts what is new instead of moving, and shows it when it is asked for", async () => {
    let found = [run(1)];
    const { user } = await opened({ Runs: () => ({ flow_run: found }), RunsNews: { changed: [], fresh: [{ id: run(2).id }] } });
    await rows();
    const { queries } = await import("../../src/app/live");
    await queries.invalidateQueries({ queryKey: ["live", "runs-news"] });
    const button = await screen.findByRole("button", { name: "1 new" });
    expect(await rows()).toHaveLength(1);
    found = [run(2), run(1)];
    await user.click(button);
    await waitFor(async () => expect(await rows()).toHaveLength(2));
  });
});

/** The stream tells of something. */
function tell(news: News): void {
  for (const listener of (live as unknown as { newsListeners: Set<(news: News) => void> }).newsListeners) listener(news);
}

describe("the list of runs, while it is read,", () => {
  it("hears of a run that is made meanwhile, and counts it", async () => {
    let answer: (rows: object) => void = () => undefined;
    const asked = new Promise<object>((resolve) => (answer = resolve));
    const { gateway } = await opened({ Runs: () => asked, RunsNews: { changed: [], fresh: [{ id: run(2).id }] } });
    await waitFor(() => expect(gateway.of("Runs")).toHaveLength(1));
    tell({ hints: [{ kind: "flow_run", id: run(2).id }] });
    answer({ flow_run: [run(1)] });
    expect(await screen.findByRole("button", { name: "1 new" })).toBeTruthy();
  });

  it("asks for nothing more when nothing happened", async () => {
    const { gateway } = await opened({ Runs: { flow_run: [run(1)] } });
    await rows();
    expect(gateway.of("RunsNews")).toHaveLength(0);
  });
});

describe("filters", () => {
  it("of an address are what is asked and what is shown as chosen", async () => {
    const { gateway } = await opened({ Runs: { flow_run: [run(1)] } }, { at: "/runs?is=%5B%22failed%22%5D&label=gpu&q=ord" });
    await rows();
    const asked = JSON.stringify(gateway.of("Runs")[0]);
    expect(asked).toContain('{"state":{"_in":["Failed","TimedOut","TriggerFailed","ValidationFailed","ClientFailed"]}}');
    expect(asked).toContain('{"labels":{"_contains":["gpu"]}}');
    expect(asked).toContain('{"name":{"_ilike":"%ord%"}}');
    expect((screen.getByLabelText("Failed") as HTMLInputElement).checked).toBe(true);
    expect((screen.getByLabelText("Label") as HTMLInputElement).value).toBe("gpu");
    expect((screen.getByLabelText("Name or id") as HTMLInputElement).value).toBe("ord");
  });

  it("go into the address as they are chosen, and Back takes them out again", async () => {
    const { user, history, gateway } = await opened({ Runs: { flow_run: [run(1)] } });
    await rows();
    await user.click(screen.getByLabelText("Failed"));
    await waitFor(() => expect(history.location.search).toContain("failed"));
    await waitFor(() => expect(JSON.stringify(gateway.of("Runs").at(-1))).toContain("TimedOut"));
    await user.type(screen.getByLabelText("Name or id"), "orders");
    await waitFor(() => expect(history.location.search).toContain("orders"));
    history.back();
    await waitFor(() => expect((screen.getByLabelText("Failed") as HTMLInputElement).checked).toBe(false));
    expect((screen.getByLabelText("Name or id") as HTMLInputElement).value).toBe("");
  });

  it("keep what is typed on while the address takes over what was typed before", async () => {
    const { user, history } = await opened({ Runs: { flow_run: [run(1)] } });
    await rows();
    const box = screen.getByLabelText<HTMLInputElement>("Name or id");
    await user.type(box, "orders of");
    // The address is a step behind: it has the words, and gets the rest.
    await waitFor(() => expect(history.location.search).toContain("orders"));
    await user.type(box, " today");
    await waitFor(() => expect(history.location.search).toContain("today"));
    expect(box.value).toBe("orders of today");
  });

  it("that are typed one right after the other are both taken", async () => {
    const { history } = await opened({ Runs: { flow_run: [run(1)] } });
    await rows();
    fireEvent.change(screen.getByLabelText("Name or id"), { target: { value: "orders" } });
    fireEvent.change(screen.getByLabelText("Label"), { target: { value: "gpu" } });
    await waitFor(() => expect(history.location.search).toContain("gpu"));
    await waitFor(() => expect(history.location.search).toContain("orders"));
  });

  it("without any state chosen ask for every state", async () => {
    const { user, history } = await opened({ Runs: { flow_run: [run(1)] } }, { at: "/runs?is=%5B%22failed%22%5D" });
    await rows();
    await user.click(screen.getByLabelText("Failed"));
    await waitFor(() => expect(history.location.search).toBe(""));
  });
});
