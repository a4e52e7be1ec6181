/** An address from running code that may be followed: http, https, mailto, or a path of our own. Else nothing. */
export function safeUrl(url: string): string | undefined {
  if (/[\s\\]/.test(url)) return undefined;
  if (/^(https?:\/\/|mailto:)/i.test(url)) return url;
  return /^\/(?!\/)/.test(url) ? url : undefined;
}
