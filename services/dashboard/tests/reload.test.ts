import { expect, it } from "vitest";

import { buildOf, mayReload } from "../src/app/reload";

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
