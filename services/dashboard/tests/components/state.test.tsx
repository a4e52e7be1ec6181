import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { WhyLate, WhyWaiting } from "../../src/components/runs";
import { Shape, State } from "../../src/components/State";
import { FAMILIES, familyOf, statesOf } from "../../src/lib/states";
import { show } from "../support/show";

const NOW = Date.parse("2026-11-30T12:00:00Z");

describe("a state", () => {
  it.each(FAMILIES.flatMap(statesOf))("%s is a shape in the colour of its family, and its word", async (state) => {
    await show(<State state={state} />);
    const badge = (await screen.findByText(state)).closest(".state");
    expect(badge?.querySelector("svg")?.outerHTML).toContain(`var(--${familyOf(state)})`);
  });

  it("has another shape in each family, so that colour is never the only sign", async () => {
    await show(
      <>
        {FAMILIES.map((family) => (
          <Shape key={family} family={family} label={family} />
        ))}
      </>,
    );
    const drawn = await Promise.all(FAMILIES.map(async (family) => (await screen.findByRole("img", { name: family })).innerHTML));
    const shapes = drawn.map((inside) => inside.replace(/<title>.*<\/title>/, "").replace(/var\(--\w+\)/g, ""));
    expect(new Set(shapes).size).toBe(FAMILIES.length);
  });

  it.each([
    ["2026-11-30T11:59:39Z", "Late"],
    ["2026-11-30T11:59:40Z", "Scheduled"],
    ["2026-11-30T13:00:00Z", "Scheduled"],
  ])("scheduled for %s is said to be %s at twelve", async (scheduled, word) => {
    await show(<State state="Scheduled" scheduled={scheduled} now={NOW} />);
    expect(await screen.findByText(word)).toBeTruthy();
  });
});

describe("why a run is late", () => {
  it.each([
    ["limit_full: label gpu, limit 1", [], "It waits for a place: label gpu, limit 1 is full.", "/acme/limits"],
    ["no_matching_agent", ["gpu"], "No agent has all of its labels (gpu).", "/acme/agents"],
    ["no_matching_agent", [], "No agent that takes runs without labels asks for work.", "/acme/agents"],
    ["agent_silent", [], "The agents that could take it have not asked for work lately.", "/acme/agents"],
    ["not_claimed", [], "An agent that could take it has not done so yet.", "/acme/agents"],
    ["paused", [], "Its schedule or queue is paused.", "/acme/flows"],
  ])("%s with labels %o is a sentence and a link to its cause", async (reason, labels, sentence, address) => {
    await show(<WhyLate slug="acme" reason={reason} labels={labels} />);
    const link = await screen.findByRole("link");
    expect(link.parentElement?.textContent).toContain(sentence);
    expect(link.getAttribute("href")).toBe(address);
  });

  it("is a sentence without a link where the work queue is paused", async () => {
    await show(<WhyLate slug="acme" reason="work_queue_paused" labels={[]} />);
    expect(await screen.findByText("The work queue is paused: no agent is given a run until it is resumed.")).toBeTruthy();
  });

  it("is what the server says where the page does not know the word", async () => {
    await show(<WhyLate slug="acme" reason="the moon is full" labels={null} />);
    expect(await screen.findByText("the moon is full")).toBeTruthy();
  });

  it.each([
    ["limit_full: tag db, limit 2", "It waits for a place: tag db, limit 2 is full."],
    ["upstream_unfinished: extract", "It waits for extract."],
    ["not_started", "Nothing is in its way; its process has not come to it yet."],
    ["a new word", "a new word"],
  ])("a task's %s is said as well", async (reason, sentence) => {
    await show(<div data-testid="why"><WhyWaiting slug="acme" reason={reason} /></div>);
    expect((await screen.findByTestId("why")).textContent).toContain(sentence);
  });
});
