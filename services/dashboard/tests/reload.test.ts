import { expect, it } from "vitest";

import { buildOf, mayReload, patiently } from "../src/app/reload";

function store(): Pick<Storage, "getItem" | "setItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

it("reloads once, and again only after a while", () => {
  const kept = store();
  const at = 1_000_000;
  expect([mayReload(kept, at), mayReload(kept, at + 29_999), mayReload(kept, at + 30_000)]).toEqual([true, false, true]);
});

it("does not reload where it could not remember that it did", () => {
  const full = { getItem: () => null, setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
  expect(mayReload(full, 1_000_000)).toBe(false);
});

it("knows a build by the script that its page begins with", () => {
  const page = '<script>\n  var a;</script><script type="module" crossorigin src="./assets/index-abc.js"></script>';
  expect(buildOf(page)).toBe("assets/index-abc.js");
  expect(buildOf("<p>not built</p>")).toBe(null);
});

/** A part that fails so often, Headwater being there or not at each failure; what is done until it comes. */
async function waitedFor(isThere: boolean[]): Promise<string[]> {
  const done: string[] = [];
  const left = [...isThere];
  const load = async () => {
    if (left.length > 0) throw new TypeError("Failed to fetch dynamically imported module");
    return "part";
  };
  const pause = async () => void done.push("pause");
  done.push(await patiently(load, pause, async () => left.shift() ?? false, () => void done.push("load anew")));
  return done;
}

it("asks again for a part that can wait, and keeps the page while Headwater is away", async () => {
  expect(await waitedFor([false, false, true])).toEqual(["pause", "pause", "pause", "part"]);
});

it("loads the page anew when Headwater is there twice and a part that can wait is not", async () => {
  expect(await waitedFor([true, true, true])).toEqual(["pause", "load anew", "pause", "pause", "part"]);
});
