import { lazy, type ComponentType } from "react";

/** Milliseconds after which a page has most likely drawn its first rows, also on a slow machine. */
const SETTLED = 1_500;

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

/** A part of the frame that is there at once, and whose code may come after the page: until then its place is kept. */
export function afterThePage<Props>(load: () => Promise<ComponentType<Props>>) {
  return lazy(async () => {
    await pageIsSettled();
    return { default: await load() };
  });
}

/** A dialog of the frame: its code is fetched after the page, or as soon as it is opened. */
export function whenOpened<Props>(load: () => Promise<ComponentType<Props>>) {
  void pageIsSettled().then(load).catch(() => undefined);
  return lazy(async () => ({ default: await load() }));
}
