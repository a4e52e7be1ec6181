import { BASE } from "../api/client";

const KEY = "headwater-reloaded";
/** Milliseconds within which a page that reloaded by itself does not do so again. `index.html` has the same rule. */
const ONCE_IN = 30_000;

/** Whether a page may reload by itself now: not if it just did, and not where it could not remember that. */
export function mayReload(store: Pick<Storage, "getItem" | "setItem">, now: number): boolean {
  try {
    if (now - Number(store.getItem(KEY) ?? 0) < ONCE_IN) return false;
    store.setItem(KEY, String(now));
    return true;
  } catch {
    return false;
  }
}

/** The script that a page begins with; its name holds a digest of it, so another name is another build. */
export function buildOf(page: string): string | null {
  return /<script[^>]*\ssrc="(?:\.\/|\/)?([^"]+)"/.exec(page)?.[1] ?? null;
}

/** What a person has typed since the page was opened is lost with a reload. */
let hasTyped = false;
let isOutdated = false;
const listeners = new Set<() => void>();

/** Whether there is a newer page than this one, which waits because somebody is filling in a form. */
export const outdated = {
  get: () => isOutdated,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};

/** Load the page anew, once; where something was typed, at the next step to another page. */
function renew(): void {
  if (hasTyped) {
    isOutdated = true;
    for (const listener of listeners) listener();
    return;
  }
  if (mayReload(sessionStorage, Date.now())) location.reload();
}

/** After an upgrade the gateway serves another build: look for one, and load it. */
export async function lookForUpgrade(): Promise<void> {
  const own = buildOf(document.documentElement.outerHTML);
  try {
    const answer = await fetch(BASE, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) return;
    const theirs = buildOf(await answer.text());
    // A page in development, or a gateway without built pages, has no name to compare.
    if (own?.startsWith("assets/") && theirs?.startsWith("assets/") && own !== theirs) renew();
  } catch {
    // It is away again; the next time that it comes back is another chance.
  }
}

/** A step to another page: what was typed is left behind, and a newer page is loaded now. */
export function stepped(): void {
  hasTyped = false;
  // The router writes the new address a microtask later.
  if (isOutdated && mayReload(sessionStorage, Date.now())) setTimeout(() => location.reload());
}

/** Whether Headwater answers: a page that is loaded again while it is away is the browser's own page of an error. */
async function answers(): Promise<boolean> {
  try {
    return (await fetch(BASE, { method: "HEAD", headers: { accept: "text/html" }, cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** How many parts of the frame are being fetched that the page can wait for. */
let waitedFor = 0;

/**
 * Fetch a part of the frame that can wait: where it does not come it is asked for again, and the page stays. Where
 * Headwater is there twice and the part is not, there is another build, or the browser remembers that it failed.
 */
export async function patiently<Part>(load: () => Promise<Part>, pause: () => Promise<void>, isThere = answers, loadAnew = renew): Promise<Part> {
  for (let missing = 0; ; ) {
    waitedFor += 1;
    try {
      return await load();
    } catch {
      // What asks for data says that Headwater is away.
    } finally {
      waitedFor -= 1;
    }
    missing = (await isThere()) ? missing + 1 : 0;
    if (missing === 2) loadAnew();
    await pause();
  }
}

/**
 * Load the page again, once, when a part of it could not be loaded: after an upgrade its files have other names, and a
 * browser breaks off what it loads when the network changes (Chromium: ERR_NETWORK_CHANGED). A part may be asked for
 * only because a pointer is over a link, so a form is not given up for it.
 */
export function keepPartsWhole(): void {
  document.addEventListener(
    "input",
    (event) => {
      // What filters a list is in the address, and comes back with it.
      if (event.target instanceof Element && event.target.closest("[role=search]") === null) hasTyped = true;
    },
    true,
  );
  window.addEventListener("vite:preloadError", (event) => {
    if (waitedFor > 0) return;
    if (hasTyped) {
      renew();
      return;
    }
    if (!mayReload(sessionStorage, Date.now())) return;
    event.preventDefault();
    location.reload();
  });
}
