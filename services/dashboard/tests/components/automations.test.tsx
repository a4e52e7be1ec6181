import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { draftOf, NEW, type Draft } from "../../src/lib/automations";
import { Automations } from "../../src/pages/Automations";
import { save, type Stored } from "../../src/pages/automations/save";
import { Refusal, StandIn, type Answers } from "../support/gateway";
import { show } from "../support/show";

const done = { success: true, error: null };
const SLACK = { id: "a1", name: "alarm", action_type: "SlackNotificationAction", action_config: { webhook_url_secret: "SLACK", message: "{state}" }, hooks: [{ id: "h1" }] };
const hook = (more: Partial<Stored> = {}): Stored => ({
  id: "h1", name: "alarm", event_type: "FlowRunStateChangedEvent", event_tags: { state: ["Failed", "TimedOut"] }, conditions: {}, is_active: true,
  created: "2026-11-30T00:00:00Z", action: SLACK, ...more,
});
const opened = (rows: Stored[], answers: Answers = {}, options: Parameters<typeof show>[1] = {}) =>
  show(<Automations />, {
    path: "/automations",
    answers: { Automations: { hook: rows }, SecretsToChoose: { secret_names: ["SLACK"] }, FlowChoices: { flow_group: [] }, FlowNames: { flow_group: [{ id: "f1", name: "orders" }] }, ...answers },
    ...options,
  });
const names = (gateway: StandIn, ...wanted: string[]) => gateway.asked.map(({ name }) => name).filter((name) => wanted.includes(name));
const WRITES = ["CreateAction", "DeleteAction", "HookOnState", "HookOnSla", "HookOnAgents", "SlaConfig", "SlaOfFlow", "UpdateHook", "DeleteHook"];

describe("the list of automations", () => {
  it("says in a sentence when what is done, whatever names try", async () => {
    await opened(
      [
        hook({ name: "<script>alert(1)</script>", event_tags: { state: ["Failed", "TimedOut"], flow_group_id: ["f1"] }, conditions: { labels: ["gpu"] } }),
        hook({ id: "h2", event_type: "FlowSLAFailedEvent", event_tags: { flow_sla_config_id: ["s1"] } }),
        hook({ id: "h3", event_type: "AgentSLAFailedEvent", event_tags: { agent_config_id: ["c1"] } }),
      ],
      {
        SlaConfigs: { flow_sla_config: [{ id: "s1", kind: "SCHEDULED_NOT_STARTED", duration_seconds: 90, flow_groups: [{ flow_group_id: "f1" }] }] },
        AgentConfigs: { agent_config: [{ id: "c1", name: "gpu machines", agents: [] }] },
      },
    );
    expect(await screen.findByText("A run of orders is Failed or TimedOut, with the labels gpu")).toBeTruthy();
    expect(await screen.findByText("A run of orders has not started 90 s after its time")).toBeTruthy();
    expect(await screen.findByText("All agents of gpu machines are gone")).toBeTruthy();
    expect(screen.getByText("<script>alert(1)</script>")).toBeTruthy();
    expect(screen.getAllByText("writes to Slack")).toHaveLength(3);
  });

  it("that is empty says what could be in it", async () => {
    await opened([]);
    expect(await screen.findByText("Nothing happens by itself yet.")).toBeTruthy();
    expect(screen.getAllByRole("button", { name: "New automation" })).toHaveLength(2);
  });

  it("offers nothing to a role that only reads hooks", async () => {
    const { gateway } = await opened([hook()], {}, { role: "watcher", permissions: ["read:hook"] });
    expect((await screen.findByRole<HTMLInputElement>("switch")).disabled).toBe(true);
    expect(screen.queryByRole("button")).toBeNull();
    expect(names(gateway, "FlowNames", "SlaConfigs", "AgentConfigs")).toEqual([]);
  });

  it("switches one off, and says why where that was refused", async () => {
    const { user, gateway } = await opened([hook()], { UpdateHook: () => new Refusal("There is no such hook.") });
    await user.click(await screen.findByRole("switch", { name: "alarm is on" }));
    expect((await screen.findByRole("alert")).textContent).toBe("There is no such hook.");
    expect(gateway.of("UpdateHook")).toEqual([{ id: "h1", isActive: false }]);
  });

  it("deletes one with its action, after a question", async () => {
    const { user, gateway } = await opened([hook()], { DeleteAction: { delete_action: done } });
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    await user.click(within(await screen.findByRole("dialog", { name: "Delete alarm?" })).getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(gateway.of("DeleteAction")).toEqual([{ id: "a1" }]));
  });
});

describe("the log of deliveries", () => {
  const delivery = (more: object) => ({
    id: "d1", created: "2026-11-30T00:00:00Z", status: "failed", attempts: 2, due: "2026-11-30T00:00:00Z", event_type: "FlowRunStateChangedEvent",
    last_error: "the receiver answered 500", receiver: "hooks.example.com", hook: { id: "h1", name: "<b>alarm</b>" }, action: null, ...more,
  });

  it("says what became of each, shows its tries on demand, and sends it again", async () => {
    const { user, gateway } = await opened([], {
      Deliveries: { delivery: [delivery({}), delivery({ id: "d2", status: "pending", attempts: 0, last_error: null })] },
      TriesOfDelivery: { delivery_attempt: [{ id: "t1", number: 2, started: "2026-11-30T00:00:00Z", status: 500, latency_ms: 12, answer: "<h1>no</h1>", error: null }] },
      Redeliver: { redeliver: done },
    }, { at: "/automations?tab=deliveries" });
    expect(await screen.findAllByText("<b>alarm</b>")).toHaveLength(2);
    expect(screen.getByText("not tried yet")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "2 tries" }));
    expect(await screen.findByText("<h1>no</h1>")).toBeTruthy();
    expect(screen.getByText(/500, in 12 ms/)).toBeTruthy();
    expect(gateway.of("TriesOfDelivery")).toEqual([{ id: "d1" }]);
    await user.click(screen.getByRole("button", { name: "Send again" }));
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Send again" }));
    await waitFor(() => expect(gateway.of("Redeliver")).toEqual([{ id: "d1" }]));
  });

  it("of one status is asked for by the address", async () => {
    const { gateway } = await opened([], { Deliveries: { delivery: [] } }, { at: "/automations?tab=deliveries&status=failed" });
    expect(await screen.findByText("None of them stands so.")).toBeTruthy();
    expect(gateway.of("Deliveries")).toEqual([{ where: { status: { _eq: "failed" } }, limit: 100 }]);
  });
});

describe("the test of an automation", () => {
  it("says what the receiver answered", async () => {
    const { user, gateway } = await opened([hook()], {
      TestAction: { test_action: { success: true, error: null, status: 202, latency_ms: 35, answer: "ok" } },
    });
    await user.click(await screen.findByRole("button", { name: "Test alarm" }));
    expect(await screen.findByText("Sent: the receiver answered 202 in 35 ms.")).toBeTruthy();
    expect(gateway.of("TestAction")).toEqual([{ id: "a1" }]);
  });

  it("says why it failed", async () => {
    const { user } = await opened([hook()], { TestAction: () => new Refusal("The test failed: the receiver answered 500.") });
    await user.click(await screen.findByRole("button", { name: "Test alarm" }));
    expect((await screen.findByRole("alert")).textContent).toBe("The test failed: the receiver answered 500.");
  });
});

describe("the form of an automation", () => {
  it("is made when it lacks nothing, shows how its message reads, and passes a warning on", async () => {
    const { user, gateway } = await opened([hook()], {
      CreateAction: { create_action: { id: "a9", warning: "No event has these variables: {x}" } },
      HookOnState: { create_flow_run_state_changed_hook: { id: "h9" } },
    });
    await user.click(await screen.findByRole("button", { name: "New automation" }));
    const dialog = within(await screen.findByRole("dialog", { name: "New automation" }));
    const button = dialog.getByRole<HTMLButtonElement>("button", { name: "Make it" });
    expect(dialog.getByRole("status").textContent).toBe("Give it a name.");
    fireEvent.change(dialog.getByLabelText(/^Name/), { target: { value: "night alarm" } });
    expect(button.disabled).toBe(true);
    fireEvent.click(dialog.getByLabelText(/^Secret with/, { selector: "input" }));
    fireEvent.click(await screen.findByText("SLACK"));
    fireEvent.change(dialog.getByLabelText("Message"), { target: { value: "{flow_name} {x}" } });
    expect(dialog.getByRole("region", { name: "Preview" }).textContent).toMatch(/^orders \{x\}No such event has \{x\}/);
    await user.click(button);
    expect(await screen.findByText("No event has these variables: {x}")).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(gateway.of("CreateAction")).toEqual([
      { name: "night alarm", config: { slack_notification: { webhook_url_secret: "SLACK", message: "{flow_name} {x}" } } },
    ]);
    expect(gateway.of("HookOnState")).toEqual([
      { action: "a9", name: "night alarm", states: ["Failed", "TimedOut", "TriggerFailed"], flows: null, conditions: {} },
    ]);
  }, 120_000);

  it("stays with the reason where it was refused, and leaves no action behind", async () => {
    const { user, gateway } = await opened([hook()], {
      CreateAction: { create_action: { id: "a9", warning: null } },
      HookOnState: () => new Refusal("states: there is no state Odd"),
      DeleteAction: { delete_action: done },
    });
    await user.click(await screen.findByRole("button", { name: "Edit" }));
    const dialog = within(await screen.findByRole("dialog", { name: "Change the automation" }));
    fireEvent.change(dialog.getByLabelText("Message"), { target: { value: "!" } });
    await user.click(dialog.getByRole("button", { name: "Save" }));
    expect((await dialog.findByRole("alert")).textContent).toBe("states: there is no state Odd");
    expect(gateway.of("DeleteAction")).toEqual([{ id: "a9" }]);
  }, 120_000);
});

/** What is sent when a form is stored over a hook. */
async function stored(change: Partial<Draft>, row: Stored | null = null, answers: Answers = {}) {
  const gateway = new StandIn({
    CreateAction: { create_action: { id: "new", warning: null } },
    HookOnState: { create_flow_run_state_changed_hook: { id: "h9" } },
    HookOnSla: { create_flow_sla_failed_hook: { id: "h9" } },
    HookOnAgents: { create_agent_sla_failed_hook: { id: "h9" } },
    SlaConfig: { create_flow_sla_config: { id: "s9" } },
    SlaOfFlow: { create_flow_group_sla: { id: "1" } },
    UpdateHook: { update_hook: done },
    DeleteHook: { delete_hook: done },
    DeleteAction: { delete_action: done },
    ...answers,
  });
  vi.stubGlobal("fetch", gateway.fetch);
  const before = row && { row, draft: draftOf(row, undefined, String) };
  await save({ ...(before?.draft ?? { ...NEW, name: "n", texts: { webhook_url_secret: "S" } }), ...change }, before ?? undefined);
  return { gateway, sent: names(gateway, ...WRITES) };
}

describe("an automation that is stored", () => {
  it("anew with an SLA is a promise for each flow, then its hook", async () => {
    const { gateway, sent } = await stored({ event: "FlowSLAFailedEvent", slaKind: "STARTED_NOT_FINISHED", slaSeconds: 600, flows: ["f1", "f2"] });
    expect(sent).toEqual(["CreateAction", "SlaConfig", "SlaOfFlow", "SlaOfFlow", "HookOnSla"]);
    expect(gateway.of("SlaConfig")).toEqual([{ kind: "STARTED_NOT_FINISHED", seconds: 600 }]);
    expect(gateway.of("SlaOfFlow")).toEqual([{ config: "s9", flow: "f1" }, { config: "s9", flow: "f2" }]);
    expect(gateway.of("HookOnSla")).toEqual([{ action: "new", name: "n", configs: ["s9"], conditions: {} }]);
  });

  it("anew for agents names their configs, and has no conditions", async () => {
    const { gateway } = await stored({ event: "AgentSLAFailedEvent", agentConfigs: ["c1"] });
    expect(gateway.of("HookOnAgents")).toEqual([{ action: "new", name: "n", configs: ["c1"] }]);
  });

  it("with another name or other conditions is changed in place", async () => {
    const { gateway, sent } = await stored({ name: "other", labels: ["gpu"] }, hook({ conditions: { min_duration_seconds: 5 } }));
    expect(sent).toEqual(["UpdateHook"]);
    expect(gateway.of("UpdateHook")).toEqual([{ id: "h1", name: "other", isActive: true, conditions: { labels: ["gpu"], min_duration_seconds: 5 } }]);
  });

  it("with another action has it before the old one goes with its hook", async () => {
    const { gateway, sent } = await stored({ texts: { webhook_url_secret: "OTHER" } }, hook());
    expect(sent).toEqual(["CreateAction", "HookOnState", "DeleteAction"]);
    expect(gateway.of("DeleteAction")).toEqual([{ id: "a1" }]);
  });

  it("with another action leaves one that a second hook has", async () => {
    const { sent } = await stored({ texts: { webhook_url_secret: "OTHER" } }, hook({ action: { ...SLACK, hooks: [{ id: "h1" }, { id: "h2" }] } }));
    expect(sent).toEqual(["CreateAction", "HookOnState", "DeleteHook"]);
  });

  it("for other states keeps its action, and stays off where it was off", async () => {
    const { gateway, sent } = await stored({ states: ["Success"] }, hook({ is_active: false }));
    expect(sent).toEqual(["HookOnState", "UpdateHook", "DeleteHook"]);
    expect(gateway.of("HookOnState")[0]).toMatchObject({ action: "a1", states: ["Success"] });
    expect(gateway.of("UpdateHook")).toEqual([{ id: "h9", isActive: false }]);
  });

  it("keeps the old one where the new one was refused", async () => {
    const refused = stored({ states: ["Success"] }, hook(), { HookOnState: () => new Refusal("A tenant has at most 500 hooks.") });
    await expect(refused).rejects.toThrow("at most 500 hooks");
  });
});
