import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ExactNumber, parseJson, writeJson } from "../src/api/json";

describe("answers of the gateway", () => {
  it("keep every whole number as it was written, wherever it stands", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), fc.string(), (number, text) => {
        const [value] = parseJson(`[${number}, ${JSON.stringify(text)}]`) as [unknown];
        expect(String(value)).toBe(String(number));
        expect(value instanceof ExactNumber).toBe(!Number.isSafeInteger(Number(number)));
      }),
    );
  });

  it("are what JSON.parse makes of them where no number is long", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        if (/\d{16}/.test(text)) return;
        expect(writeJson(parseJson(text), 0)).toBe(text);
      }),
    );
  });
});
