/** The permissions of a role as a table: an object in each row, a verb in each column. Pure. */

export const VERBS = ["read", "create", "update", "delete"] as const;
export type Verb = (typeof VERBS)[number];

/** The objects that permissions name, by name; `feature:...` and the like have no verb and no row. */
export function objectsOf(permissions: readonly string[]): string[] {
  const found = permissions.map((each) => each.split(":")).filter(([verb]) => (VERBS as readonly string[]).includes(verb ?? ""));
  return [...new Set(found.map(([, object = ""]) => object))].sort();
}

/** With one permission more, or less. */
export function toggled(held: ReadonlySet<string>, permission: string): Set<string> {
  const next = new Set(held);
  if (!next.delete(permission)) next.add(permission);
  return next;
}

/** What a role allows, in a few words: "all of run; read flow, project". */
export function inWords(permissions: readonly string[]): string {
  const held = new Set(permissions);
  const whole: string[] = [];
  const parts = new Map<string, string[]>();
  for (const object of objectsOf(permissions)) {
    const verbs = VERBS.filter((verb) => held.has(`${verb}:${object}`));
    if (verbs.length === VERBS.length) whole.push(object);
    else parts.set(verbs.join(" and "), [...(parts.get(verbs.join(" and ")) ?? []), object]);
  }
  const words = [...parts].map(([verbs, objects]) => `${verbs} ${objects.join(", ")}`);
  return [...(whole.length > 0 ? [`all of ${whole.join(", ")}`] : []), ...words].join("; ") || "nothing";
}
