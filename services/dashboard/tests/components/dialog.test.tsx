import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { Confirmed } from "../../src/components/Dialog";
import { RunActions } from "../../src/components/RunActions";
import { Refusal } from "../support/gateway";
import { show } from "../support/show";

describe("a button that asks first", () => {
  it("does nothing until it is confirmed, and gives the focus back when it is not", async () => {
    const run = vi.fn(async () => undefined);
    const { user } = await show(<Confirmed label="Delete" title="Delete it?" run={run}>It goes.</Confirmed>);
    const button = await screen.findByRole("button", { name: "Delete" });
    await user.click(button);
    await user.click(within(await screen.findByRole("dialog", { name: "Delete it?" })).getByRole("button", { name: "Back" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    await waitFor(() => expect(document.activeElement).toBe(button));
    expect(run).not.toHaveBeenCalled();
  });

  it("does it once, however often it is pressed meanwhile", async () => {
    let finish = () => {};
    const run = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
    const { user } = await show(<Confirmed label="Delete" title="Delete it?" run={run}>It goes.</Confirmed>);
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    const confirm = within(await screen.findByRole("dialog")).getByRole("button", { name: "Delete" });
    await user.click(confirm);
    await user.click(confirm);
    expect(run).toHaveBeenCalledOnce();
    finish();
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  it("stays with the reason where it was refused, and forgets it when it is asked anew", async () => {
    const { user } = await show(
      <Confirmed label="Delete" title="Delete it?" run={() => Promise.reject(new Error("Its runs are at work."))}>It goes.</Confirmed>,
    );
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Delete" }));
    expect((await screen.findByRole("alert")).textContent).toBe("Its runs are at work.");
    await user.click(screen.getByRole("button", { name: "Back" }));
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    await screen.findByRole("dialog");
    expect(screen.queryByRole("alert")).toBeNull();
  });
});

const RUN = {
  id: "0190a2b3-0000-7000-8000-000000000001", name: "brave-heron", state: "Failed", version: 7,
  flow_group_id: "0190a2b3-0000-7000-8000-000000000002", labels: ["gpu"],
};

describe("what can be done to a run", () => {
  it.each([
    ["Failed", ["Restart from failed", "Delete run"], ["Cancel run", "Run now"]],
    ["Success", ["Delete run"], ["Restart from failed", "Cancel run"]],
    ["Running", ["Cancel run"], ["Restart from failed", "Delete run", "Run now"]],
    ["Scheduled", ["Run now", "Cancel run"], ["Restart from failed", "Delete run"]],
  ])("that is %s is %o, not %o", async (state, offered, hidden) => {
    await show(<RunActions slug="acme" run={{ ...RUN, state }} />);
    expect(await screen.findByRole("link", { name: "Run again" })).toBeTruthy();
    for (const name of offered) expect(screen.getByRole("button", { name })).toBeTruthy();
    for (const name of hidden) expect(screen.queryByRole("button", { name })).toBeNull();
  });

  it("is nothing for a reader but to copy its id", async () => {
    await show(<RunActions slug="acme" run={RUN} />, { role: "read_only" });
    expect((await screen.findAllByRole("button")).map((each) => each.textContent)).toEqual(["Copy id"]);
  });

  it("by hand is a state with the version that was seen, and the reason is kept", async () => {
    const { user, gateway } = await show(<RunActions slug="acme" run={RUN} />, {
      answers: { SetRunState: { set_flow_run_states: { states: [{ id: RUN.id, status: "SUCCESS", message: null }] } } },
    });
    await user.click(await screen.findByRole("button", { name: "More" }));
    await user.click(await screen.findByRole("menuitem", { name: "Set state" }));
    await user.type(await screen.findByLabelText(/^Why/), "checked by hand");
    await user.click(screen.getByRole("button", { name: "Set Success" }));
    await waitFor(() =>
      expect(gateway.of("SetRunState")).toEqual([{ id: RUN.id, version: 7, state: { type: "Success", message: "checked by hand" } }]),
    );
  });

  it("by hand says why it was not done", async () => {
    const { user } = await show(<RunActions slug="acme" run={RUN} />, { answers: { RenameRun: () => new Refusal("This name is taken.") } });
    await user.click(await screen.findByRole("button", { name: "More" }));
    await user.click(await screen.findByRole("menuitem", { name: "Rename" }));
    await user.click(await screen.findByRole("button", { name: "Rename" }));
    expect((await screen.findByRole("alert")).textContent).toBe("This name is taken.");
  });
});
