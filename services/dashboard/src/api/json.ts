/** JSON whose whole numbers over 2^53 stay as they were sent: `JSON.parse` would round them. */

/** A whole number that JavaScript cannot hold, as it was written. */
export class ExactNumber {
  constructor(readonly text: string) {}
  toJSON(): unknown {
    const raw = (JSON as unknown as { rawJSON?: (text: string) => unknown }).rawJSON;
    return raw ? raw(this.text) : Number(this.text);
  }
  toString(): string {
    return this.text;
  }
}

type Context = { source?: string };

function exact(_key: string, value: unknown, context?: Context): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? new ExactNumber(source) : value;
}

/** Numbers that JavaScript cannot hold have 16 digits or more, which few answers have anywhere. */
const LONG_NUMBER = /\d{16}/;

/**
 * Parse JSON; throws SyntaxError. A reviver is called for each value, which takes some eight times as long as parsing
 * (9,000 tasks and edges of a graph: 70 ms instead of 8), so only texts with long numbers are given to it.
 */
export function parseJson(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON.parse(text, exact as (key: string, value: unknown) => unknown) : JSON.parse(text);
}

/** Write JSON, exact numbers included. */
export function writeJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent) ?? "";
}
