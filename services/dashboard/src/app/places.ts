import type { Permission } from "../lib/permissions";

type Place = readonly [name: string, to: string, key: string, needs: readonly Permission[]];

/**
 * What each page is called, where it is, the key that goes there after `g`, and what its reader must be allowed to read. A
 * page that shows parts by permission needs nothing itself.
 */
export const PLACES = [
  ["Overview", "/$slug", "o", ["read:run", "read:flow", "read:agent"]],
  ["Flows", "/$slug/flows", "f", ["read:flow", "read:project", "read:run"]],
  ["Runs", "/$slug/runs", "r", ["read:run", "read:flow", "read:project"]],
  ["Calendar", "/$slug/calendar", "c", ["read:run", "read:flow"]],
  ["Agents", "/$slug/agents", "a", ["read:agent", "read:run"]],
  ["Limits", "/$slug/limits", "l", ["read:concurrency-limit"]],
  ["Automations", "/$slug/automations", "m", ["read:hook"]],
  ["Inbox", "/$slug/inbox", "i", ["read:message"]],
  ["Projects", "/$slug/projects", "p", ["read:project", "read:flow"]],
  ["KV and secrets", "/$slug/values", "v", []],
  ["Team", "/$slug/team", "t", []],
] as const satisfies readonly Place[];

/** The places that somebody may look at. */
export function placesFor(may: (...needs: readonly Permission[]) => boolean): readonly (typeof PLACES)[number][] {
  return PLACES.filter(([, , , needs]) => may(...needs));
}

/** What is missing for the page at an address; empty where it may be read, or is none of the places. */
export function missingAt(path: string, may: (...needs: readonly Permission[]) => boolean): readonly Permission[] {
  const [, ...rest] = path.split("/").filter((part) => part !== "");
  const place = PLACES.find(([, to]) => to === ["/$slug", ...rest].join("/"));
  return place === undefined ? [] : place[3].filter((each) => !may(each));
}
