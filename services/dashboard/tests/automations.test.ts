import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseJson, writeJson } from "../src/api/json";
import { ACTIONS, actionsFor, changesOf, conditionsOf, configOf, draftOf, faultOf, fieldsOf, NEW, preview, variablesOf, type ActionType, type Draft, type Hook } from "../src/lib/automations";

const TYPES = Object.keys(ACTIONS) as ActionType[];
const hook = (type: string, config: unknown, more: Partial<Hook> = {}): Hook => ({
  id: "1", name: "alarm", event_type: "FlowRunStateChangedEvent", event_tags: { state: ["Failed"] }, conditions: {}, is_active: true,
  action: { id: "2", name: null, action_type: type, action_config: config }, ...more,
});
/** A text for each field of an action. */
const filled = (action: ActionType): Draft => ({
  ...NEW, name: "alarm", action, texts: Object.fromEntries(fieldsOf(action).map(({ name, kind }) => [name, kind === "json" ? '{"a":1}' : kind === "lines" || kind === "labels" ? "a\nb" : "x"])),
});

describe("the form of an automation", () => {
  it.each(TYPES)("of %s comes back from what is stored as it was written", (action) => {
    const draft = filled(action);
    const [inner] = Object.values(configOf(draft, parseJson));
    const back = draftOf(hook(action, inner), undefined, (value) => writeJson(value, 0));
    expect(changesOf(draft, { ...back, states: draft.states, flows: draft.flows }).action).toBe(false);
    expect(configOf(back, parseJson)).toEqual(configOf(draft, parseJson));
  });

  it("sends one key, without what is empty, and lists line by line", () => {
    expect(configOf({ ...NEW, action: "EmailNotificationAction", texts: { to_emails: " a@x.org \n\n b@x.org", subject: " " } }, parseJson)).toEqual({
      email_notification: { to_emails: ["a@x.org", "b@x.org"] },
    });
    expect(configOf({ ...NEW, action: "CancelFlowRunAction", texts: {} }, parseJson)).toEqual({ cancel_flow_run: {} });
  });

  it("names the field whose JSON is none", () => {
    expect(() => configOf({ ...NEW, action: "WebhookAction", texts: { url: "https://x.example", headers: "{" } }, parseJson)).toThrow(/^Headers as JSON: /);
  });

  it.each<[Partial<Draft>, RegExp]>([
    [{ states: [] }, /at least one state/],
    [{ event: "FlowSLAFailedEvent" }, /Choose the flows/],
    [{ event: "FlowSLAFailedEvent", flows: ["f"], slaSeconds: 0 }, /seconds/],
    [{ event: "AgentSLAFailedEvent" }, /Choose the agents/],
    [{ event: "AgentSLAFailedEvent", agentConfigs: ["a"], action: "CancelFlowRunAction" }, /no run/],
    [{ name: " " }, /a name/],
    [{ texts: {} }, /Secret with the webhook's address: it is needed/],
  ])("that lacks something says what: %o", (more, sentence) => {
    expect(faultOf({ ...NEW, name: "alarm", texts: { webhook_url_secret: "SLACK" }, ...more })).toMatch(sentence);
  });

  it("that lacks nothing says nothing, for every action with its needed fields", () => {
    for (const action of TYPES) expect(faultOf(filled(action))).toBeNull();
  });

  it("does not ask again for what an action keeps to itself", () => {
    expect(faultOf({ ...NEW, name: "alarm", texts: {} }, true)).toBeNull();
  });

  it("spells states as runs do, whatever Cloud's pages stored", () => {
    expect(draftOf(hook("CancelFlowRunAction", {}, { event_tags: { state: ["Triggerfailed", "TIMEDOUT", "Odd"] } }), undefined, String).states).toEqual(["TriggerFailed", "TimedOut", "Odd"]);
  });

  it("offers no action on a run for an event of agents", () => {
    expect(actionsFor("AgentSLAFailedEvent")).toHaveLength(6);
    expect(actionsFor("FlowSLAFailedEvent")).toHaveLength(9);
  });

  it("keeps the conditions that it does not show", () => {
    expect(conditionsOf({ ...NEW, labels: ["gpu"] }, { projects: ["p"], min_duration_seconds: 5, parameters: { a: 1 } })).toEqual({
      labels: ["gpu"], min_duration_seconds: 5, parameters: { a: 1 },
    });
  });

  it("knows what an edit changes", () => {
    const before = filled("SlackNotificationAction");
    expect(changesOf(before, { ...before, name: "other", isActive: false, labels: ["x"] })).toEqual({ action: false, event: false });
    expect(changesOf(before, { ...before, states: ["Success"] })).toEqual({ action: false, event: true });
    expect(changesOf(before, { ...before, texts: { ...before.texts, message: "hi" } })).toEqual({ action: true, event: false });
  });

  it("of a hook that nothing here knows is still a form", () => {
    const draft = draftOf(hook("NewAction", null, { event_type: "NewEvent", event_tags: null, conditions: null, action: null }), undefined, String);
    expect(draft).toMatchObject({ event: NEW.event, states: [], action: NEW.action, texts: {} });
  });
});

describe("the preview of a message", () => {
  it("fills in what the event has, and says what it has not", () => {
    expect(preview("{flow_name} is {state}: {nothing} {x.y}", "FlowRunStateChangedEvent")).toEqual({ text: "orders is Failed: {nothing} {x.y}", unknown: ["nothing"] });
    expect(preview("{state}", "AgentSLAFailedEvent").unknown).toEqual(["state"]);
  });

  it("of nothing is the event's own sentence", () => {
    expect(preview(" ", "AgentSLAFailedEvent").text).toMatch(/^Agents sharing the config/);
  });

  it("looks at no value again, and knows no name of JavaScript's", () => {
    expect(preview("{constructor} {__proto__} {toString}", "FlowRunStateChangedEvent").unknown).toEqual(["constructor", "__proto__", "toString"]);
    fc.assert(fc.property(fc.string(), (text) => typeof preview(text, "FlowSLAFailedEvent").text === "string"));
  });

  it("has a value for every variable", () => {
    expect(variablesOf("FlowSLAFailedEvent")).toContain("duration_seconds");
  });
});
