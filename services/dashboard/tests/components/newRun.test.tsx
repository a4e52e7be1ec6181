import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { NewRun } from "../../src/pages/NewRun";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const FLOW = "0190a2b3-0000-7000-8000-000000000001";
const GROUP = "0190a2b3-0000-7000-8000-000000000002";
const BIG = "9223372036854775807";

/** The form's data as JSON text: JavaScript could not write the number. */
function form(parameters = `[{"name":"big","default":${BIG}},{"name":"text","default":"yesterday"},{"name":"day","required":true}]`, like = "null"): string {
  return `{"flow":[{"id":"${FLOW}","name":"orders","version":3,"parameters":${parameters},"run_config":{"labels":["gpu"]},
    "flow_group":{"default_parameters":{},"labels":null,"run_config":null}}],"like":${like},
    "agent":[{"id":"a","name":"live-1","labels":["gpu"],"last_queried":"${new Date().toISOString()}"}]}`;
}

const opened = (answers: Answers = {}, at = `/flow/${GROUP}/run`) =>
  show(<NewRun />, { answers: { NewRunForm: () => form(), ...answers }, path: "/flow/$id/run", at });
const field = (name: string) => screen.findByLabelText<HTMLInputElement>(new RegExp(`^${name}`));
const json = () => screen.findByLabelText<HTMLTextAreaElement>("Parameters as JSON");

describe("the form and the JSON of a new run", () => {
  it("are one value: what is typed in one is in the other", async () => {
    const { user } = await opened();
    fireEvent.change(await field("day"), { target: { value: '["mon", null]' } });
    await user.click(screen.getByRole("radio", { name: "JSON" }));
    expect((await json()).value).toContain(`"big": ${BIG}`);
    expect((await json()).value.replace(/\s/g, "")).toContain('"day":["mon",null]');

    fireEvent.change(await json(), { target: { value: `{"big": ${BIG}, "text": "12", "day": "ünï", "more": 1}` } });
    await user.click(screen.getByRole("radio", { name: "Form" }));
    expect((await field("day")).value).toBe("ünï");
    // A text that looks like a number has quotes, or it would become one.
    expect((await field("text")).value).toBe('"12"');
    await user.click(screen.getByRole("radio", { name: "JSON" }));
    expect((await json()).value).toContain('"more": 1');
  });

  it("do not leave JSON that is none, and say so", async () => {
    const { user } = await opened();
    await field("day");
    await user.click(screen.getByRole("radio", { name: "JSON" }));
    fireEvent.change(await json(), { target: { value: '{"day": ' } });
    await user.click(screen.getByRole("radio", { name: "Form" }));
    expect((await screen.findByRole("alert")).textContent).toContain("The parameters are not JSON");
    expect(await json()).toBeTruthy();
  });

  it("send numbers over 2^53 as they are, and open the run", async () => {
    const { user, gateway, history } = await opened({ NewRun: { create_flow_run: { id: FLOW } } });
    fireEvent.change(await field("day"), { target: { value: "2026-11-30" } });
    await user.click(screen.getByRole("button", { name: "Run" }));
    await waitFor(() => expect(history.location.pathname).toBe(`/acme/flow-run/${FLOW}`));
    const sent = gateway.asked.find((each) => each.name === "NewRun")?.body ?? "";
    expect(sent).toContain(`"big":${BIG}`);
    expect(sent).toContain('"day":"2026-11-30"');
    expect(sent).toContain('"labels":["gpu"]');
  });

  it("keep what was typed when the server refuses it, with its reason", async () => {
    const { user } = await opened({ NewRun: () => new Refusal("Required parameter day was not given.") });
    fireEvent.change(await field("text"), { target: { value: "today" } });
    await user.click(screen.getByRole("button", { name: "Run" }));
    expect((await screen.findByRole("alert")).textContent).toBe("Required parameter day was not given.");
    expect((await field("text")).value).toBe("today");
  });

  it("do not send a field that looks like JSON and is not", async () => {
    const { user, gateway } = await opened();
    fireEvent.change(await field("day"), { target: { value: '{"a": ' } });
    await user.click(screen.getByRole("button", { name: "Run" }));
    expect((await screen.findByRole("alert")).textContent).toContain("day: This looks like JSON and is not");
    expect(gateway.of("NewRun")).toEqual([]);
  });

  it("of a run that is made again are those of the old run", async () => {
    await opened({ NewRunForm: () => form(undefined, '{"parameters":{"day":"last","big":5},"labels":["cpu"]}') }, `/flow/${GROUP}/run?like=${FLOW}`);
    expect((await field("day")).value).toBe("last");
    expect((await field("big")).value).toBe("5");
    expect((await field("text")).value).toBe("yesterday");
    expect(screen.getByText(/No agent has these labels/)).toBeTruthy();
  });

  it("name the agents that can take it", async () => {
    await opened();
    expect(await screen.findByText("1 live agent can take it: live-1")).toBeTruthy();
  });
});
