import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Logs } from "../../src/components/Logs";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const TASK_RUN = "0190a2b3-0000-7000-8000-000000000002";

function line(number: number, message = `line ${number}`, more: object = {}) {
  return {
    id: `0190a2b3-0000-7000-8000-${String(number).padStart(12, "0")}`,
    timestamp: new Date(Date.parse("2026-11-30T12:00:00Z") + number * 1000).toISOString(),
    sequence: number,
    level: "INFO",
    name: "prefect.flow",
    message,
    task_run_id: null,
    ...more,
  };
}
/** The newest first, as the gateway answers what is asked from the end. */
const lines = (...given: ReturnType<typeof line>[]) => ({ log: [...given].reverse() });
const opened = (answers: Answers, more: { marked?: string } = {}) => show(<Logs of={{ flow_run_id: RUN }} isLive={false} {...more} marked={more.marked} />, { answers });
const log = async () => within(await screen.findByRole("log"));

describe("the log of a run", () => {
  it("opens at its end, with each line's time in the reader's zone and its level", async () => {
    await opened({ Lines: lines(line(1), line(2, "out of memory", { level: "ERROR" })) });
    const shown = await log();
    const last = (await shown.findByText("out of memory")).closest(".line");
    expect(last?.textContent).toContain("12:00:02.000");
    expect(last?.querySelector(".ERROR")?.textContent).toBe("ERROR");
    expect(within(last as HTMLElement).getByRole("link").getAttribute("href")).toContain(`?tab=logs&logId=${line(2).id}`);
    expect(screen.getByText(/2 lines, from 2026-11-30, times in UTC/)).toBeTruthy();
  });

  it("that is empty says what will be in it", async () => {
    await opened({ Lines: lines() });
    expect(await screen.findByText("There are no lines.")).toBeTruthy();
  });

  it("that cannot be read says why, and is asked for again", async () => {
    let answer: unknown = new Refusal("The log is being moved.");
    const { user } = await opened({ Lines: () => answer });
    expect(await screen.findByText("The log is being moved.")).toBeTruthy();
    answer = lines(line(1));
    await user.click(screen.getByRole("button", { name: "Try again" }));
    expect(await (await log()).findByText("line 1")).toBeTruthy();
  });

  it("shows markup as text and ANSI colours as colours, and no more of them", async () => {
    await opened({ Lines: lines(line(1, "<script>alert(1)</script>"), line(2, "\u001b[31mred\u001b[0m plain \u001b]8;;http://evil.example\u0007x")) });
    const shown = await log();
    expect(await shown.findByText("<script>alert(1)</script>")).toBeTruthy();
    expect(shown.getByText("red").closest("span[style]")?.getAttribute("style")).toContain("color");
    expect(shown.queryAllByRole("link").every((link) => link.classList.contains("at"))).toBe(true);
  });

  it("cuts a line that is very long, and shows the rest when it is asked for", async () => {
    const { user } = await opened({ Lines: lines(line(1, "x".repeat(12_345))) });
    await user.click(await (await log()).findByRole("button", { name: "Show 2345 more characters" }));
    expect((await log()).getByText("x".repeat(12_345))).toBeTruthy();
  });

  it("asks for lines from a level on", async () => {
    const { user, gateway } = await opened({ Lines: lines(line(1)) });
    await log();
    await user.click(screen.getAllByLabelText("Level")[0] as HTMLElement);
    await user.click(await screen.findByText("ERROR and above"));
    await waitFor(() => expect(JSON.stringify(gateway.of("Lines").at(-1))).toContain('{"level":{"_in":["ERROR","CRITICAL"]}}'));
  });

  it("is searched as a whole on the server: how many lines, and which is shown", async () => {
    const matches = [3, 7].map((number) => ({ id: line(number).id, position: number, timestamp: line(number).timestamp, sequence: number }));
    const { user, gateway } = await opened({
      Lines: lines(...Array.from({ length: 9 }, (_, number) => line(number + 1, number % 4 === 2 ? "a needle" : "hay"))),
      LogSearch: { log_search: { count: 2, matches } },
    });
    await log();
    await user.type(screen.getByLabelText("Text in the log"), "needle");
    expect(await screen.findByText(/of 2 lines, at line 3/)).toBeTruthy();
    expect(gateway.of("LogSearch")[0]).toMatchObject({ run: RUN, text: "needle", level: null, task: null });
    await user.click(screen.getByRole("button", { name: "Next match" }));
    expect(await screen.findByText(/of 2 lines, at line 7/)).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Next match" }));
    expect(await screen.findByText(/of 2 lines, at line 3/)).toBeTruthy();
    expect((await log()).getAllByText("needle").every((found) => found.tagName === "MARK")).toBe(true);
  });

  it("says that no line has a text", async () => {
    const { user } = await opened({ Lines: lines(line(1)), LogSearch: { log_search: { count: 0, matches: [] } } });
    await log();
    await user.type(screen.getByLabelText("Text in the log"), "needle");
    expect(await screen.findByText("No line has this text.")).toBeTruthy();
  });

  it("stops following when one scrolls up, and follows again at the end", async () => {
    const { user } = await opened({ Lines: lines(line(1), line(2)) });
    const follow = await screen.findByLabelText<HTMLInputElement>("Follow");
    await log();
    expect(follow.checked).toBe(true);
    fireEvent.wheel(screen.getByRole("log"), { deltaY: -100 });
    expect(follow.checked).toBe(false);
    await user.click(screen.getByRole("button", { name: "To the end" }));
    expect(follow.checked).toBe(true);
  });

  it("of a link opens around its line and does not follow", async () => {
    const marked = line(2).id;
    await opened({ Lines: lines(line(1), line(2), line(3)) }, { marked });
    const found = (await (await log()).findByText("line 2")).closest(".line");
    expect(found?.className).toContain("marked");
    expect(screen.getByLabelText<HTMLInputElement>("Follow").checked).toBe(false);
  });
});

describe("the log of a task run", () => {
  it("is searched in its flow run's log, for its own lines only", async () => {
    const { user, gateway } = await show(<Logs of={{ task_run_id: TASK_RUN }} flowRunId={RUN} isLive={false} marked={undefined} />, {
      answers: { Lines: lines(line(1)), LogSearch: { log_search: { count: 0, matches: [] } } },
    });
    await log();
    await user.type(screen.getByLabelText("Text in the log"), "needle");
    await waitFor(() => expect(gateway.of("LogSearch")[0]).toMatchObject({ run: RUN, task: TASK_RUN }));
  });
});
