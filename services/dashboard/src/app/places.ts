/** What each page is called, where it is, and the key that goes there after `g`. */
export const PLACES = [
  ["Overview", "/$slug", "o"],
  ["Flows", "/$slug/flows", "f"],
  ["Runs", "/$slug/runs", "r"],
  ["Calendar", "/$slug/calendar", "c"],
  ["Agents", "/$slug/agents", "a"],
  ["Limits", "/$slug/limits", "l"],
  ["Projects", "/$slug/projects", "p"],
  ["KV and secrets", "/$slug/values", "v"],
  ["Team", "/$slug/team", "t"],
] as const;
