import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { RunActions } from "../../src/components/RunActions";
import { Team } from "../../src/pages/Team";
import { Values } from "../../src/pages/Values";
import { show } from "../support/show";

const RUN = {
  id: "0190a2b3-0000-7000-8000-000000000001", name: "brave-heron", state: "Failed", version: 7,
  flow_group_id: "0190a2b3-0000-7000-8000-000000000002", labels: [],
};
const buttons = () => screen.queryAllByRole("button").map((each) => each.textContent);

describe("a role of the tenant's own", () => {
  it("that only reads is offered nothing to do to a run", async () => {
    await show(<RunActions slug="acme" run={RUN} />, { role: "auditor", permissions: ["read:run", "read:flow"] });
    expect(await screen.findByRole("button", { name: "Copy Copy id" })).toBeTruthy();
    expect(buttons()).toEqual(["Copy id"]);
    expect(screen.queryByRole("link", { name: "Run again" })).toBeNull();
  });

  it("that only makes runs is offered to run again, not to delete or to change", async () => {
    await show(<RunActions slug="acme" run={RUN} />, { role: "starter", permissions: ["read:run", "create:run"] });
    expect(await screen.findByRole("link", { name: "Run again" })).toBeTruthy();
    expect(buttons()).toEqual(["Copy id"]);
  });

  it("that only deletes runs is offered that alone", async () => {
    await show(<RunActions slug="acme" run={RUN} />, { role: "cleaner", permissions: ["read:run", "delete:run"] });
    expect(await screen.findByRole("button", { name: "Delete run" })).toBeTruthy();
    expect(buttons()).toEqual(["Copy id", "Delete run"]);
  });

  it("that changes runs without deleting them is not offered a restart, which is refused without both", async () => {
    await show(<RunActions slug="acme" run={RUN} />, { role: "fixer", permissions: ["read:run", "update:run"] });
    expect(await screen.findByRole("button", { name: "More" })).toBeTruthy();
    expect(buttons()).toEqual(["Copy id", "More"]);
  });

  it("that reads values but no secrets sees those, and asks for nothing that is refused", async () => {
    const { gateway } = await show(<Values />, {
      role: "reader", permissions: ["read:key-value"],
      answers: { Values: { key_value: [{ id: "1", key: "day", value: "2026-11-30", updated: "2026-11-30T00:00:00Z" }] } },
    });
    expect(await screen.findByText("day")).toBeTruthy();
    expect(screen.queryByText("Secrets")).toBeNull();
    expect(buttons()).not.toContain("Delete");
    expect(gateway.of("SecretNames")).toEqual([]);
  });

  it("that reads the audit trail is shown it without keys and members", async () => {
    const { gateway } = await show(<Team />, { role: "auditor", permissions: ["read:audit-trail"], answers: { Audit: { audit_log: [] } } });
    expect(await screen.findByText("Nothing is in the audit trail yet.")).toBeTruthy();
    expect(screen.getByText("auditor")).toBeTruthy();
    expect([gateway.of("Keys"), gateway.of("Guests")]).toEqual([[], []]);
  });
});
