import NEEDS from "./needs.json";

/** A permission as the server writes it: `update:run`. */
export type Permission = `${"create" | "read" | "update" | "delete"}:${string}`;
/** What somebody may or may not do: a permission, or the document of the mutation that would do it. */
export type Asked = Permission | { toString: () => string };

const BY_MUTATION: Readonly<Record<string, string>> = NEEDS;

/** Each mutation of ours takes one argument, `input`; nothing else in a document does. */
const FIELD = /(\w+)\s*\(\s*input\s*:/g;

/** The permissions that the mutations of a document need together. Throws for one that the server does not name. */
export function neededBy(document: string): string[] {
  return [...document.matchAll(FIELD)].flatMap(([, name = ""]) => {
    const found = BY_MUTATION[name];
    if (found === undefined) throw new Error(`src/lib/needs.json does not say what ${name} needs: run make generate`);
    return found.split(" ").filter((each) => each !== "");
  });
}

/**
 * Whether all that is asked about is allowed to somebody who holds these permissions. The page hides what the server
 * would refuse; the server decides again.
 */
export function isAllowed(held: ReadonlySet<string>, ...asked: readonly Asked[]): boolean {
  return asked.every((each) =>
    typeof each === "string" ? held.has(each) : neededBy(each.toString()).every((permission) => held.has(permission)),
  );
}
