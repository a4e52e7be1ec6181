import { lazy, type ComponentType } from "react";

import { patiently } from "./reload";

/** Milliseconds after which a page has most likely drawn its first rows, also on a slow machine. */
const SETTLED = 1_500;

/** Milliseconds until a part that did not come is asked for again. */
const AGAIN = 3_000;

let settled: Promise<void> | null = null;

/** Resolves when the first page has had its time and the browser has nothing better to do. */
export function pageIsSettled(): Promise<void> {
  settled ??= new Promise((resolve) => {
    setTimeout(() => {
      // Safari has no idle callbacks.
      if ("requestIdleCallback" in window) requestIdleCallback(() => resolve(), { timeout: SETTLED });
      else resolve();
    }, SETTLED);
  });
  return settled;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, AGAIN));
}

/** The dialogs that are being fetched. The choices come after them, so a page that has its choices has everything. */
const dialogs: Promise<unknown>[] = [];

/** A part of the frame that is there at once, and whose code may come after the page: until then its place is kept. */
export function afterThePage<Props>(load: () => Promise<ComponentType<Props>>) {
  return lazy(async () => {
    await pageIsSettled();
    await Promise.all(dialogs);
    return { default: await patiently(load, pause) };
  });
}

/** A dialog of the frame: its code is fetched after the page, or as soon as it is opened. */
export function whenOpened<Props>(load: () => Promise<ComponentType<Props>>) {
  let coming: Promise<ComponentType<Props>> | null = null;
  const come = () => (coming ??= patiently(load, pause));
  dialogs.push(pageIsSettled().then(come));
  return lazy(async () => ({ default: await come() }));
}
