import { describe, expect, it } from "vitest";

import { STATUS_NAMES, statusOf, tryInWords } from "../src/lib/deliveries";

describe("a delivery", () => {
  it("has a word and a shape for each status, and for one that comes later", () => {
    expect(new Set(STATUS_NAMES.map((name) => statusOf(name).word)).size).toBe(STATUS_NAMES.length);
    expect(statusOf("constructor")).toEqual({ word: "constructor", family: "waiting" });
  });

  it("says of each try what came back, and when nothing did, why", () => {
    expect(tryInWords({ status: 204, latency_ms: 1_234, error: null })).toBe("204, in 1,234 ms");
    expect(tryInWords({ status: 500, latency_ms: 3, error: "the receiver refused" })).toBe("500: the receiver refused, in 3 ms");
    expect(tryInWords({ status: null, latency_ms: 15_000, error: "timed out" })).toBe("timed out, in 15,000 ms");
    expect(tryInWords({ status: null, latency_ms: 1, error: null })).toBe("no answer, in 1 ms");
  });
});
