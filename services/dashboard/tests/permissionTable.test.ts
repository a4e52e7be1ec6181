import { describe, expect, it } from "vitest";

import { inWords, objectsOf, toggled } from "../src/lib/permissionTable";

describe("the table of permissions", () => {
  it("has a row for each object, and none for features", () => {
    expect(objectsOf(["read:run", "create:flow", "feature:flow-sla", "license:admin", "update:run"])).toEqual(["flow", "run"]);
  });

  it("takes one more, or gives it back", () => {
    expect([...toggled(new Set(["read:run"]), "read:flow")]).toEqual(["read:run", "read:flow"]);
    expect([...toggled(new Set(["read:run"]), "read:run")]).toEqual([]);
  });

  it("is said in a few words", () => {
    const all = ["read", "create", "update", "delete"].map((verb) => `${verb}:run`);
    expect(inWords([...all, "read:flow", "read:project", "feature:x"])).toBe("all of run; read flow, project");
    expect(inWords(["create:run", "read:run"])).toBe("read and create run");
    expect(inWords([])).toBe("nothing");
  });
});
