import { expect, it } from "vitest";

import { attemptsOf } from "../src/lib/attempts";

const state = (version: number, name: string, second: number) => ({
  state: name, message: `${name} ${version}`, version, timestamp: new Date(second * 1000).toISOString(),
});

it("three tries with their waits are read from the states, in whatever order they come", () => {
  const states = [
    state(1, "Pending", 0), state(2, "Running", 10), state(3, "Retrying", 20), state(4, "Running", 80),
    state(5, "Running", 85), state(6, "Retrying", 90), state(7, "Running", 150), state(8, "Failed", 155),
  ];
  const found = attemptsOf([...states].reverse());
  expect(found.map(({ number, from, to, waited, state: name }) => [number, from / 1000, (to ?? 0) / 1000, waited, name])).toEqual([
    [1, 10, 20, null, "Retrying"], [2, 80, 90, 60_000, "Retrying"], [3, 150, 155, 60_000, "Failed"],
  ]);
});

it("a try that goes on has no end, and what never ran has none", () => {
  expect(attemptsOf([state(1, "Running", 5)])).toMatchObject([{ number: 1, to: null, state: "Running" }]);
  expect(attemptsOf([state(1, "TriggerFailed", 5)])).toEqual([]);
});
