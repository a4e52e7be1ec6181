import { ExactNumber, parseJson, writeJson } from "../api/json";

/**
 * The parameters of a run as a form and as JSON: one value, seen two ways. A field of the form holds JSON, except that
 * plain text needs no quotes where it cannot be taken for something else.
 */
export type Field = { name: string; text: string };

/** A value as the text of its field. */
export function fieldText(value: unknown): string {
  if (typeof value === "string" && !looksLikeJson(value)) return value;
  return writeJson(value, 0);
}

/** The value of a field's text. */
export function fieldValue(text: string): unknown {
  if (!looksLikeJson(text)) return text;
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function looksLikeJson(text: string): boolean {
  if (text === "") return false;
  try {
    parseJson(text);
    return true;
  } catch {
    return /^\s*["[{]/.test(text) || text !== text.trim();
  }
}

/** Why the text of a field cannot be a value; null when it can. */
export function fieldError(text: string): string | null {
  if (!/^\s*["[{]/.test(text)) return null;
  try {
    parseJson(text);
    return null;
  } catch (error) {
    return `This looks like JSON and is not: ${(error as Error).message}`;
  }
}

export function toFields(parameters: Record<string, unknown>): Field[] {
  return Object.entries(parameters).map(([name, value]) => ({ name, text: fieldText(value) }));
}

export function toParameters(fields: readonly Field[]): Record<string, unknown> {
  // Own properties only: a parameter may be called "__proto__".
  const parameters = Object.create(null) as Record<string, unknown>;
  for (const { name, text } of fields) parameters[name] = fieldValue(text);
  return parameters;
}

/** Whether two values are equal as JSON; the order of names does not matter. */
export function isEqual(one: unknown, other: unknown): boolean {
  if (one instanceof ExactNumber || other instanceof ExactNumber) return String(one) === String(other);
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => isEqual(each, other[index]));
  }
  if (one !== null && other !== null && typeof one === "object" && typeof other === "object") {
    const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
    const names = Object.keys(a);
    return names.length === Object.keys(b).length && names.every((name) => name in b && isEqual(a[name], b[name]));
  }
  return Object.is(one, other) || one === other;
}
