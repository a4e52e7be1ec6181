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

/** Parse JSON; throws SyntaxError. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

/** Write JSON, exact numbers included. */
export function writeJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent) ?? "";
}
