import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import { missingAt, placesFor, PLACES } from "../src/app/places";
import { isAllowed, neededBy, type Permission } from "../src/lib/permissions";

const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.includes("generated"))
  .map((name) => readFileSync(join("src", name), "utf8"));
const mutations = sources.flatMap((source) => [...source.matchAll(/graphql\(`(\s*mutation[^`]*)`\)/g)].map(([, text = ""]) => text));
const holds = (...held: Permission[]) => (...needs: readonly Permission[]) => isAllowed(new Set(held), ...needs);

describe("what a document needs", () => {
  it("is what its mutations need together", () => {
    expect(neededBy("mutation M($id: UUID!) { cancel_flow_run(input: { flow_run_id: $id }) { state } }")).toEqual(["update:run"]);
    expect(neededBy("mutation M($i: x!) { a: bulk_flow_runs(input: $i) { total } }")).toEqual(["delete:run", "read:run", "update:run"]);
    expect(neededBy("mutation M { accept_membership_invitation(input: { invitation_id: 1 }) { id } }")).toEqual([]);
  });

  it("is known for every mutation of the pages", () => {
    expect(mutations.length).toBeGreaterThan(30);
    for (const text of mutations) {
      const fields = text.split(/\(\s*input\s*:/).length - 1;
      expect(fields, text).toBeGreaterThan(0);
      expect(() => neededBy(text)).not.toThrow();
    }
  });

  it("throws for a mutation that the server does not name, so that nothing is shown by mistake", () => {
    expect(() => neededBy("mutation M { no_such_thing(input: {}) { id } }")).toThrow(/no_such_thing/);
  });

  it("is allowed only to who holds all of it", () => {
    const document = { toString: () => "mutation M { bulk_flow_runs(input: {}) { total } }" };
    expect(isAllowed(new Set(["read:run", "update:run"]), document)).toBe(false);
    expect(isAllowed(new Set(["read:run", "update:run", "delete:run"]), document)).toBe(true);
    expect(isAllowed(new Set(["update:run"]), "update:run", "read:run")).toBe(false);
  });
});

describe("the pages that a role shows", () => {
  it("are those whose tables it may read", () => {
    expect(placesFor(holds("read:run", "read:agent")).map(([name]) => name)).toContain("Agents");
    expect(placesFor(holds("read:run")).map(([name]) => name)).not.toContain("Agents");
    expect(placesFor(() => true)).toEqual([...PLACES]);
  });

  it("say at their address what is missing, and elsewhere nothing", () => {
    expect(missingAt("/acme/agents", holds("read:run"))).toEqual(["read:agent"]);
    expect(missingAt("/acme", holds("read:run", "read:flow"))).toEqual(["read:agent"]);
    expect(missingAt("/acme/", holds("read:run", "read:flow", "read:agent"))).toEqual([]);
    expect(missingAt("/acme/flow-run/1", holds())).toEqual([]);
  });

  it("each have a key of their own", () => {
    expect(new Set(PLACES.map(([, , key]) => key)).size).toBe(PLACES.length);
  });
});
