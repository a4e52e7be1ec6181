import { describe, expect, it } from "vitest";

import { FAMILIES } from "../src/lib/states";
import { PALETTE, PAPER } from "../src/theme/palette";
import { contrast, deltaE, simulate } from "./colour";

describe.each(["light", "dark"] as const)("on %s paper", (scheme) => {
  it.each(FAMILIES)("%s has a contrast of three", (family) => {
    expect(contrast(PALETTE[scheme][family], PAPER[scheme])).toBeGreaterThanOrEqual(3);
  });

  it.each(["normal", "deutan", "protan"] as const)("no two families look alike to %s eyes", (sight) => {
    const near: string[] = [];
    FAMILIES.forEach((one, index) => {
      for (const other of FAMILIES.slice(index + 1)) {
        const distance = deltaE(
          simulate(PALETTE[scheme][one], sight),
          simulate(PALETTE[scheme][other], sight),
        );
        if (distance < 10) near.push(`${one} and ${other}: ${distance.toFixed(1)}`);
      }
    });
    expect(near).toEqual([]);
  });
});
