const KEY = "headwater-reloaded";
/** Milliseconds within which a page that reloaded by itself does not do so again. */
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

/**
 * Load the page again, once, when a part of it could not be loaded: after an upgrade its files have other names, and a
 * browser breaks off what it loads when the network changes (Chromium: ERR_NETWORK_CHANGED).
 */
export function reloadWhenPartsAreMissing(): void {
  window.addEventListener("vite:preloadError", (event) => {
    if (!mayReload(sessionStorage, Date.now())) return;
    event.preventDefault();
    location.reload();
  });
}
