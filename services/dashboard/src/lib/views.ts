import { filtersFrom, type RunFilters } from "./filters";

/** Lists that somebody named: filters under a name, kept in this browser for each tenant. Pure. */

export type View = { name: string; filters: RunFilters };

export const BUILT_IN: readonly View[] = [
  { name: "All runs", filters: {} },
  { name: "Failed in 24 hours", filters: { is: ["failed"], hours: 24 } },
  { name: "Late", filters: { is: ["late"] } },
  { name: "Running", filters: { is: ["running"] } },
];

const MOST = 30;

/** What is kept, as far as it makes sense: the text may be anybody's. */
export function viewsFrom(text: string | null): View[] {
  try {
    const kept: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(kept)) return [];
    return kept
      .filter((each): each is { name: string; filters: Record<string, unknown> } => typeof each?.name === "string" && typeof each?.filters === "object" && each.filters !== null)
      .slice(0, MOST)
      .map(({ name, filters }) => ({ name: name.slice(0, 80), filters: filtersFrom(filters) }));
  } catch {
    return [];
  }
}

/** With this view; one of the same name gives way. */
export function withView(views: readonly View[], view: View): View[] {
  return [...views.filter((each) => each.name !== view.name), view].slice(-MOST);
}

/** The name of these filters, if they have one. */
export function nameOf(views: readonly View[], filters: RunFilters): string | null {
  const same = (one: RunFilters) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(filters));
  return views.find((view) => same(view.filters))?.name ?? null;
}

function sorted(filters: RunFilters): [string, unknown][] {
  return Object.entries(filters).sort(([one], [other]) => one.localeCompare(other));
}
