import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { concerns, hintsOf, interestOf, messageReader, paceAfter, type Hint, type Pace } from "../src/lib/events";

const RUN = "0c5e0d3e-0f3c-4d0b-9b43-3c5b1b2f0c01";
const OTHER = "0c5e0d3e-0f3c-4d0b-9b43-3c5b1b2f0c02";

describe("the stream", () => {
  const told =
    "retry: 2000\nevent: open\nid: a-1\ndata: {}\n\n: heartbeat\nid: a-2\n\n" +
    'event: hints\nid: a-3\ndata: {"hints": []}\n\n: heartbeat\n\nevent: stale\ndata: {"reason": "x: y"}\n\n';
  const messages = [
    { event: "open", data: "{}", id: "a-1" },
    { event: "place", data: "", id: "a-2" },
    { event: "hints", data: '{"hints": []}', id: "a-3" },
    { event: "stale", data: '{"reason": "x: y"}', id: null },
  ];

  it("is read alike wherever the network cuts it", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(told.length), { maxLength: 12 }), (cuts) => {
        const read = messageReader();
        const at = [0, ...[...cuts].sort((a, b) => a - b), told.length];
        const got = at.slice(1).flatMap((end, index) => read(told.slice(at[index], end)));
        expect(got).toEqual(messages);
      }),
    );
  });

  it("gives no hints where the data is none of ours", () => {
    expect(hintsOf("no JSON")).toEqual([]);
    expect(hintsOf('{"hints": [{"kind": "weather", "id": "1"}, null, {"kind": "flow_run", "id": "2"}]}')).toEqual([
      { kind: "flow_run", id: "2" },
    ]);
  });
});

describe("what a page shows", () => {
  const page = "query P($id: uuid!) { flow_run_by_pk(id: $id) { id agent_id task_runs { id flow_run_id } } }";
  const hint = (more: Partial<Hint>): Hint => ({ kind: "flow_run", id: RUN, ...more });

  it("is read from its document: the tables that it opens, not the columns that are named like them", () => {
    expect([...interestOf(page, { id: RUN }).kinds].sort()).toEqual(["flow_run", "task_run"]);
    expect([...interestOf("{ flow_concurrency_limit { id } }", {}).kinds].sort()).toEqual(["flow_run", "task_run"]);
    expect([...interestOf("{ key_value { id } }", {}).kinds]).toEqual([]);
  });

  it("is asked for anew for its own run and what belongs to it, not for every other run", () => {
    const interest = interestOf(page, { id: RUN });
    expect(concerns(interest, hint({}))).toBe(true);
    expect(concerns(interest, hint({ id: OTHER }))).toBe(false);
    expect(concerns(interest, hint({ kind: "task_run", id: OTHER, flow_run_id: RUN }))).toBe(true);
    expect(concerns(interest, hint({ kind: "agent", id: RUN }))).toBe(false);
  });

  it("is asked for anew for any run where it is a list, whatever its filter says", () => {
    const list = interestOf("query($where: x) { flow_run(where: $where) { id } }", { where: { id: { _eq: RUN } } });
    expect(concerns(list, hint({ id: OTHER }))).toBe(true);
  });
});

describe("the pace", () => {
  const list = interestOf("{ flow_run { id } }", {});

  it("looks at once after a quiet time", () => {
    expect(paceAfter(undefined, list, 50, 1_000).at).toBe(1_000);
    expect(paceAfter({ at: 1_000, gap: 10_000 }, list, 50, 12_000).at).toBe(12_000);
  });

  it("asks a list at most seven times in the first minute of a flood, and six times a minute from then on", () => {
    let pace: Pace | undefined;
    const looks: number[] = [];
    for (let now = 0; now < 120_000; now += 10) {
      if (pace !== undefined && pace.at > now) continue;
      pace = paceAfter(pace, list, 50, now);
      looks.push(pace.at);
    }
    expect(looks.filter((at) => at < 60_000).length).toBeLessThanOrEqual(9);
    expect(looks.filter((at) => at >= 60_000 && at < 120_000).length).toBeLessThanOrEqual(7);
  });

  it("lets answers that take long have four times their time", () => {
    const first = paceAfter(undefined, list, 20_000, 0);
    expect(first.gap).toBe(80_000);
  });
});
