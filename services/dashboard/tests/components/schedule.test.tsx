import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { ScheduleEditor } from "../../src/pages/flow/ScheduleEditor";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const GROUP = "0190a2b3-0000-7000-8000-000000000002";
/** An hour is left out in Berlin on the last Sunday of March. */
const OVER_THE_CHANGE = [
  { start_time: "2026-03-28T01:30:00+00:00", local: "2026-03-28T02:30:00+01:00", parameters: {}, labels: null },
  { start_time: "2026-03-30T00:30:00+00:00", local: "2026-03-30T02:30:00+02:00", parameters: { day: "today" }, labels: ["gpu"] },
];
const BERLIN = { clocks: [{ type: "CronClock", cron: "30 2 * * *", start_date: { dt: "2026-01-01T00:00:00", tz: "Europe/Berlin" } }] };

async function opened(answers: Answers = {}, { ofGroup = null, ofFlow = BERLIN }: { ofGroup?: unknown; ofFlow?: unknown } = {}) {
  const onDone = vi.fn();
  const shown = await show(<ScheduleEditor groupId={GROUP} ofGroup={ofGroup} ofFlow={ofFlow} onDone={onDone} />, {
    answers: { SchedulePreview: { schedule_preview: { reason: null, instants: OVER_THE_CHANGE } }, ...answers },
  });
  return { ...shown, onDone };
}
const preview = async () => within(await screen.findByRole("region", { name: "Next instants" }));

describe("the schedule editor", () => {
  it("begins with the clocks of the code, and shows their next instants on their clock and the reader's", async () => {
    await opened();
    expect((await screen.findByLabelText<HTMLInputElement>("Cron")).value).toBe("30 2 * * *");
    const shown = await preview();
    expect(await shown.findByText(/2026-03-28 02:30/)).toBeTruthy();
    expect(shown.getByText("+01:00")).toBeTruthy();
    expect(shown.getByText("+02:00")).toBeTruthy();
    expect(shown.getByText(/2026-03-28 01:30 UTC/)).toBeTruthy();
    expect(shown.getByText('{"day":"today"}')).toBeTruthy();
  });

  it("asks the scheduler itself about what is typed, and says why it is refused", async () => {
    const { gateway } = await opened({
      SchedulePreview: ({ clocks }) => ({
        schedule_preview: JSON.stringify(clocks).includes("nonsense") ? { reason: "cron: not five fields", instants: [] } : { reason: null, instants: [] },
      }),
    });
    fireEvent.change(await screen.findByLabelText("Cron"), { target: { value: "nonsense" } });
    expect(await (await preview()).findByText("cron: not five fields")).toBeTruthy();
    expect(gateway.of("SchedulePreview").at(-1)).toEqual({ clocks: [{ cron: "nonsense", timezone: "Europe/Berlin" }] });
  });

  it("says that clocks never fire again", async () => {
    await opened({ SchedulePreview: { schedule_preview: { reason: null, instants: [] } } });
    expect(await (await preview()).findByText("These clocks never fire again.")).toBeTruthy();
  });

  it("saves all clocks for all versions, once", async () => {
    const { user, gateway, onDone } = await opened({ SetGroupSchedule: { set_flow_group_schedule: { success: true, error: null } } });
    await user.click(await screen.findByRole("button", { name: "Add a clock" }));
    const [, second] = await screen.findAllByLabelText("Cron");
    fireEvent.change(second as HTMLElement, { target: { value: "0 12 1 * *" } });
    await user.click(screen.getByRole("button", { name: "Save for all versions" }));
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    expect(gateway.of("SetGroupSchedule")).toEqual([
      {
        input: {
          flow_group_id: GROUP,
          cron_clocks: [
            { cron: "30 2 * * *", timezone: "Europe/Berlin" },
            { cron: "0 12 1 * *", timezone: "UTC" },
          ],
          interval_clocks: [], rrule_clocks: [], dates_clocks: [],
        },
      },
    ]);
  });

  it("stays with what was typed when the server refuses it", async () => {
    const { user, onDone } = await opened({ SetGroupSchedule: () => new Refusal("cron_clocks[0].cron: not a cron expression") });
    await user.click(await screen.findByRole("button", { name: "Save for all versions" }));
    expect((await screen.findByRole("alert")).textContent).toBe("cron_clocks[0].cron: not a cron expression");
    expect(onDone).not.toHaveBeenCalled();
  });

  it("does not send parameters that are no object", async () => {
    const { user } = await opened();
    await user.click(await screen.findByText("Parameters, labels and start of this clock"));
    fireEvent.change(screen.getByLabelText("Parameters of its runs"), { target: { value: "[1]" } });
    expect((await screen.findByRole("alert")).textContent).toContain("Parameters are a JSON object");
    expect(screen.getByRole("button", { name: "Save for all versions" })).toHaveProperty("disabled", true);
  });

  it("removes what was set here only when it is asked twice, and says what holds then", async () => {
    const { user, gateway, onDone } = await opened({ RemoveGroupSchedule: { delete_flow_group_schedule: { success: true, error: null } } }, { ofGroup: BERLIN });
    await user.click(await screen.findByRole("button", { name: "Remove" }));
    const dialog = within(await screen.findByRole("dialog"));
    expect(dialog.getByText("The schedule of the flow's code holds again.")).toBeTruthy();
    expect(gateway.of("RemoveGroupSchedule")).toEqual([]);
    await user.click(dialog.getByRole("button", { name: "Remove" }));
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    expect(gateway.of("RemoveGroupSchedule")).toEqual([{ id: GROUP }]);
  });

  it("says which clocks of the code it cannot hold", async () => {
    await opened({}, { ofFlow: { clocks: [...BERLIN.clocks, { type: "RRuleClock", rrule_obj: { type: "rruleset" } }] } });
    expect(await screen.findByText(/One clock of the flow's code cannot be edited here/)).toBeTruthy();
  });
});
