/**
 * An address from running code that may be followed: http, https, mailto, or a path of our own. Else nothing. Clients know
 * paths as they are without a proxy's prefix (StartFlowRun's link is `/{slug}/flow-run/{id}`), so `base` goes before them.
 */
export function safeUrl(url: string, base: string): string | undefined {
  if (/[\s\\]/.test(url)) return undefined;
  if (/^(https?:\/\/|mailto:)/i.test(url)) return url;
  if (!/^\/(?!\/)/.test(url)) return undefined;
  return url.startsWith(base) ? url : base + url.slice(1);
}
