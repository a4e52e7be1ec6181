import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";

import { dropFrame } from "../src/app/frame";
import { PLACES } from "../src/app/places";

const PAGE = readFileSync("index.html", "utf8");
/** A turn of the event loop: observers have been told. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

function begun(): HTMLElement {
  document.body.innerHTML = '<div id="root"></div><div id="frame"></div>';
  const root = document.getElementById("root") as HTMLElement;
  dropFrame(root);
  return root;
}

afterEach(() => localStorage.clear());

describe("the frame of index.html", () => {
  it("names the pages as the navigation does, in its order", () => {
    const frame = /<div id="frame"[\s\S]*<nav>([\s\S]*?)<\/nav>/.exec(PAGE)?.[1] ?? "";
    const names = [...frame.matchAll(/<a>(.*?)<\/a>/g)].map((found) => found[1]);
    expect(names).toEqual([...PLACES.map(([name]) => name), "API"]);
  });

  it("stands until the page has something to show", async () => {
    const root = begun();
    root.innerHTML = "<header></header><main></main>";
    await turn();
    expect(document.getElementById("frame")).not.toBeNull();
    (root.querySelector("main") as HTMLElement).innerHTML = "<h1>Flows</h1>";
    await turn();
    expect(document.getElementById("frame")).toBeNull();
  });

  it("is not shown again before a log-in, and is after it", async () => {
    begun().innerHTML = '<main class="log-in"><form></form></main>';
    await turn();
    expect(localStorage.getItem("headwater-logs-in")).toBe("1");
    begun().innerHTML = "<main><h1>Flows</h1></main>";
    await turn();
    expect(localStorage.getItem("headwater-logs-in")).toBeNull();
  });
});
