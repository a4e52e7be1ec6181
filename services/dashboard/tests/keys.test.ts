import { expect, it } from "vitest";

import { PATIENCE, pressed, type Pressed } from "../src/lib/keys";

const KNOWN = [{ keys: "g r" }, { keys: "g o" }, { keys: "r" }, { keys: "?" }];

function typed(keys: string, between = 10): string[] {
  const found: string[] = [];
  let before: Pressed | null = null;
  [...keys].forEach((key, index) => {
    const answer = pressed(KNOWN, before, key, index * between);
    before = answer.rest;
    if (answer.found) found.push(answer.found.keys);
  });
  return found;
}

it("hears keys one after the other", () => {
  expect(typed("gr")).toEqual(["g r"]);
  expect(typed("r?")).toEqual(["r", "?"]);
});

it("begins anew with a key that goes on with nothing", () => {
  expect(typed("gxr")).toEqual(["r"]);
  expect(typed("ggo")).toEqual(["g o"]);
});

it("forgets the first key after a while", () => {
  expect(typed("gr", PATIENCE)).toEqual(["r"]);
});

it("prefers what was bound last: the page on top", () => {
  const known = [{ keys: "l", page: 1 }, { keys: "l", page: 2 }];
  expect(pressed(known, null, "l", 0).found?.page).toBe(2);
});
