import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Paused } from "../../src/app/Paused";
import { PauseButton } from "../../src/pages/PauseButton";
import { Refusal } from "../support/gateway";
import { show, TENANT } from "../support/show";

const done = { success: true, error: null };
const queue = (isPaused: boolean) => ({ tenant: [{ id: TENANT, settings: { work_queue_paused: isPaused } }] });
const WHO = { audit_log: [{ id: "1", actor: "key:deploys:1", actor_name: "<b>Ada</b>", timestamp: new Date(Date.now() - 330_000).toISOString() }] };
const both = (
  <>
    <Paused tenant={TENANT} />
    <PauseButton tenant={TENANT} />
  </>
);

describe("the work queue", () => {
  it("that is paused says so on the page, with who did it and when, and is resumed at once", async () => {
    let isPaused = true;
    const { user, gateway } = await show(both, {
      answers: {
        WorkQueue: () => queue(isPaused),
        WhoPaused: WHO,
        ResumeQueue: () => {
          isPaused = false;
          return { resume_tenant_work_queue: done };
        },
      },
    });
    const notice = within(await screen.findByRole("region", { name: "The work queue is paused" }));
    expect(await notice.findByText("<b>Ada</b>")).toBeTruthy();
    expect(notice.getByText(/5 min/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Pause the work queue" })).toBeNull();
    await user.click(notice.getByRole("button", { name: "Resume" }));
    await waitFor(() => expect(gateway.of("ResumeQueue")).toEqual([{ tenant: TENANT }]));
    await waitFor(() => expect(screen.queryByRole("region", { name: "The work queue is paused" })).toBeNull());
  });

  it("that is not paused is paused after a word about what that means", async () => {
    const { user, gateway } = await show(both, {
      answers: { WorkQueue: queue(false), PauseQueue: { pause_tenant_work_queue: done } },
    });
    await user.click(await screen.findByRole("button", { name: "Pause the work queue" }));
    const dialog = within(await screen.findByRole("dialog"));
    expect(dialog.getByText(/Runs that have begun go on/)).toBeTruthy();
    expect(gateway.of("PauseQueue")).toEqual([]);
    await user.click(dialog.getByRole("button", { name: "Pause the work queue" }));
    await waitFor(() => expect(gateway.of("PauseQueue")).toEqual([{ tenant: TENANT }]));
  });

  it("is resumed by nobody whose role does not change the tenant, and they do not ask who paused it", async () => {
    const { gateway } = await show(both, { role: "watcher", permissions: ["read:tenant"], answers: { WorkQueue: queue(true) } });
    expect(await screen.findByRole("region", { name: "The work queue is paused" })).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
    expect(gateway.of("WhoPaused")).toEqual([]);
  });

  it("is not asked about by a role that may not read the tenant", async () => {
    const { gateway } = await show(<>{both}<p>the page</p></>, { role: "narrow", permissions: ["read:run"] });
    await screen.findByText("the page");
    expect(gateway.of("WorkQueue")).toEqual([]);
  });

  it("says why it was not resumed", async () => {
    const { user } = await show(both, {
      answers: { WorkQueue: queue(true), WhoPaused: WHO, ResumeQueue: () => new Refusal("There is no such tenant.") },
    });
    await user.click(await screen.findByRole("button", { name: "Resume" }));
    expect(await screen.findByText("There is no such tenant.")).toBeTruthy();
  });
});
