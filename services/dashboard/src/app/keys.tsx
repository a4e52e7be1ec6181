import { Suspense, useLayoutEffect, useRef, useState } from "react";

import { Coming } from "../components/basics";
import { pressed, type Binding, type Pressed } from "../lib/keys";
import { whenOpened } from "./later";

type Bound = Binding & { run: () => void };

const KeysDialog = whenOpened(() => import("./KeysDialog").then((part) => part.KeysDialog));

const bound: Bound[] = [];
let before: Pressed | null = null;

/** Whether a key belongs to what has the focus: a field that takes text, or a dialog. */
function isTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return true;
  const at = event.target;
  if (!(at instanceof HTMLElement)) return false;
  const takesText = at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName);
  const isBox = at instanceof HTMLInputElement && ["checkbox", "radio"].includes(at.type);
  return (takesText && !isBox) || document.querySelector("[role=dialog]") !== null;
}

function onKey(event: KeyboardEvent): void {
  if (isTaken(event) || event.key === "Shift") return;
  const { found, rest } = pressed(bound, before, event.key, Date.now());
  before = rest;
  if (found === null) return;
  event.preventDefault();
  found.run();
}

document.addEventListener("keydown", onKey);

/** Bind a key, or keys one after the other ("g r"), for as long as the component is there and `isOn`. */
export function useKey(keys: string, name: string, run: () => void, { group = "This page", isOn = true } = {}): void {
  const latest = useRef(run);
  latest.current = run;
  // Before the page is seen: who sees it may press a key at once, and later effects wait on a busy machine.
  useLayoutEffect(() => {
    if (!isOn) return;
    const binding = { keys, name, group, run: () => latest.current() };
    bound.push(binding);
    return () => void bound.splice(bound.indexOf(binding), 1);
  }, [keys, name, group, isOn]);
}

/** Rows of whatever list the page has: the first link of each, in the order in which they stand. */
function rows(): HTMLElement[] {
  const found = document.querySelectorAll<HTMLElement>("main tbody tr, main .vrow, main .message, main [data-row]");
  const links = [...found].map((row) => (row.matches("a") ? row : row.querySelector<HTMLElement>("a[href]")));
  return [...new Set(links)].filter((link): link is HTMLElement => link !== null && link.getClientRects().length > 0);
}

/** Move the focus to the next row (1) or the one before (-1). */
function move(step: 1 | -1): void {
  // Rows of a virtual list are not in the document in the order in which they are seen.
  const all = rows().map((link) => ({ link, top: link.getBoundingClientRect().top }));
  // Other lists stand side by side, and are gone through one after the other.
  if (document.querySelector("main .vrow") !== null) all.sort((one, other) => one.top - other.top);
  const at = all.findIndex(({ link }) => link === document.activeElement || link.parentElement?.closest("tr, .vrow, .message")?.contains(document.activeElement));
  const next = at < 0 ? (step === 1 ? all[0] : all.at(-1)) : all[at + step];
  next?.link.focus();
  next?.link.scrollIntoView({ block: "nearest" });
}

/** One level up: the last link of the crumbs above the title. */
function up(): void {
  document.querySelector<HTMLElement>("main .crumbs a:last-of-type")?.click();
}

/** The keys that every page has, and the list of all that are bound now: `?`. */
export function Keys() {
  const [shown, setShown] = useState<readonly Bound[] | null>(null);
  useKey("?", "Show the keys", () => setShown([...bound]), { group: "Everywhere" });
  useKey("j", "Next row", () => move(1), { group: "Lists" });
  useKey("k", "Row before", () => move(-1), { group: "Lists" });
  useKey("u", "Up: from a task to its run, from a run to its flow", up, { group: "Everywhere" });
  // Once they were shown the dialog stays, so that it can fade.
  const [isKept, setIsKept] = useState(false);
  if (shown !== null && !isKept) setIsKept(true);
  return <Suspense fallback={<Coming name="Keys" />}>{isKept && <KeysDialog shown={shown} close={() => setShown(null)} />}</Suspense>;
}
