/** The frame of `index.html`: what every page begins with, seen while its code and its first answers are on their way. */

/** Whether the log-in was shown last: then the frame, which is that of who is logged in, is not. `index.html` reads it. */
const LOGS_IN = "headwater-logs-in";

/** Take the frame away as soon as the page has something to show in its place. */
export function dropFrame(root: HTMLElement): void {
  const observer = new MutationObserver(() => {
    const main = root.querySelector("main");
    if (main === null || main.childElementCount === 0) return;
    document.getElementById("frame")?.remove();
    observer.disconnect();
    try {
      if (main.classList.contains("log-in")) localStorage.setItem(LOGS_IN, "1");
      else localStorage.removeItem(LOGS_IN);
    } catch {
      // A browser that stores nothing shows the frame before the log-in, too.
    }
  });
  observer.observe(root, { childList: true, subtree: true });
}
