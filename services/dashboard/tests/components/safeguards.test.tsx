import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import type { FlowVersion } from "../../src/pages/Flow";
import { Settings } from "../../src/pages/flow/Settings";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const FLOW = {
  id: "0190a2b3-0000-7000-8000-000000000001",
  name: "orders",
  flow_group_id: "0190a2b3-0000-7000-8000-000000000002",
  settings: { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false },
  run_config: null,
  storage: null,
  flow_group: { labels: null, settings: {}, run_config: null, flows: [{ id: "a" }, { id: "b" }] },
} as unknown as FlowVersion;

const done = { success: true, error: null };
const opened = (answers: Answers = {}, role = "tenant_admin") => show(<Settings slug="acme" flow={FLOW} />, { answers, role });
const guard = (name: string) => screen.findByRole<HTMLInputElement>("switch", { name: new RegExp(`^${name}`) });

describe("the safeguards of a flow", () => {
  it("are on or off as its settings say, each with a sentence", async () => {
    await opened();
    expect((await guard("Heartbeats")).checked).toBe(true);
    expect((await guard("Lazarus")).checked).toBe(true);
    expect((await guard("Version locking")).checked).toBe(false);
    expect(screen.getByText(/sends no sign of life for two minutes is a zombie/)).toBeTruthy();
    expect(screen.getByText(/is scheduled again, ten times at most/)).toBeTruthy();
    expect(screen.getByText(/your work runs once and only once/)).toBeTruthy();
  });

  it.each([
    ["Heartbeats and the Zombie Killer", "HeartbeatOff", "disable_flow_heartbeat", /stays Running until somebody/],
    ["Lazarus", "LazarusOff", "disable_flow_lazarus_process", /does not start again by itself/],
  ])("%s is switched off only after a word about what is lost", async (name, mutation, field, loss) => {
    const { user, gateway } = await opened({ [mutation]: { [field]: done } });
    await user.click(await guard(name));
    const dialog = within(await screen.findByRole("dialog", { name: `Switch off ${name}?` }));
    expect(dialog.getByText(loss)).toBeTruthy();
    await user.click(dialog.getByRole("button", { name: "Back" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(gateway.of(mutation)).toEqual([]);

    await user.click(await guard(name));
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Switch off" }));
    await waitFor(() => expect(gateway.of(mutation)).toEqual([{ id: FLOW.id }]));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  it("are switched on at once", async () => {
    const { user, gateway } = await opened({ LockOn: { enable_flow_version_lock: done } });
    await user.click(await guard("Version locking"));
    await waitFor(() => expect(gateway.of("LockOn")).toEqual([{ id: FLOW.id }]));
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("say why a change was refused", async () => {
    const { user } = await opened({ LockOn: () => new Refusal("This key may only read.") });
    await user.click(await guard("Version locking"));
    expect(await screen.findByText("This key may only read.")).toBeTruthy();
  });

  it("cannot be changed by a reader, who sees no button of the page either", async () => {
    await opened({}, "read_only");
    expect((await guard("Lazarus")).disabled).toBe(true);
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
    expect(screen.queryByRole("button", { name: "Delete this flow" })).toBeNull();
  });
});

describe("the deletion of a flow", () => {
  it("says what goes, and wants its name typed", async () => {
    const { user, gateway, history } = await opened({ DeleteGroup: { delete_flow_group: done } });
    await user.click(await screen.findByRole("button", { name: "Delete this flow" }));
    const dialog = within(await screen.findByRole("dialog", { name: "Delete orders?" }));
    expect(dialog.getByText(/Its 2 versions go, and all of their runs/)).toBeTruthy();
    const button = dialog.getByRole<HTMLButtonElement>("button", { name: "Delete this flow" });
    expect(button.disabled).toBe(true);
    await user.type(dialog.getByLabelText("Type “orders” to go on"), "order");
    expect(button.disabled).toBe(true);
    await user.type(dialog.getByLabelText("Type “orders” to go on"), "s");
    await user.click(button);
    await waitFor(() => expect(history.location.pathname).toBe("/acme/flows"));
    expect(gateway.of("DeleteGroup")).toEqual([{ id: FLOW.flow_group_id }]);
  });
});
