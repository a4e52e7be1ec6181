import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Invitations, People } from "../../src/pages/team/People";
import { Roles } from "../../src/pages/team/Roles";
import { Refusal } from "../support/gateway";
import { show } from "../support/show";

const done = { success: true, error: null };
const ROLES = {
  auth_role: [
    { id: "r1", name: "USER", permissions: ["read:run"], tenant_id: null },
    { id: "r2", name: "<i>auditor</i>", permissions: ["read:run", "feature:flow-sla"], tenant_id: "t" },
  ],
};
const ALL = { permissions_info: { all_permissions_filtered_by_license_features: ["read:run", "update:run", "read:flow", "feature:flow-sla"] } };

describe("the roles of a tenant", () => {
  it("are listed with what they allow; built-in ones stay as they are", async () => {
    await show(<Roles />, { answers: { Roles: ROLES } });
    expect(await screen.findByText("<i>auditor</i>")).toBeTruthy();
    expect(screen.getAllByText("read run")).toHaveLength(2);
    expect(screen.getAllByRole("button", { name: "Change" })).toHaveLength(1);
  });

  it("are changed box by box, and keep what has no box", async () => {
    const { user, gateway } = await show(<Roles />, {
      answers: { Roles: ROLES, AllPermissions: ALL, UpdateRole: { update_custom_role_permissions: done } },
    });
    await user.click(await screen.findByRole("button", { name: "Change" }));
    const dialog = within(await screen.findByRole("dialog"));
    expect((await dialog.findByLabelText<HTMLInputElement>("read:run")).checked).toBe(true);
    fireEvent.click(dialog.getByLabelText("update:run"));
    await user.click(dialog.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(gateway.of("UpdateRole")).toEqual([{ id: "r2", permissions: ["feature:flow-sla", "read:run", "update:run"] }]));
  });

  it("that are new give nothing that their maker lacks, and say why they were refused", async () => {
    const { user, gateway } = await show(<Roles />, {
      role: "office", permissions: ["read:role", "create:role", "read:run"],
      answers: { Roles: ROLES, AllPermissions: ALL, CreateRole: () => new Refusal("There is a role of this name.") },
    });
    await user.click(await screen.findByRole("button", { name: "New role" }));
    const dialog = within(await screen.findByRole("dialog"));
    fireEvent.change(dialog.getByLabelText(/^Name/), { target: { value: "looks" } });
    expect((await dialog.findByLabelText<HTMLInputElement>("read:flow")).disabled).toBe(true);
    fireEvent.click(dialog.getByLabelText("read:run"));
    await user.click(dialog.getByRole("button", { name: "Make it" }));
    expect((await dialog.findByRole("alert")).textContent).toBe("There is a role of this name.");
    expect(gateway.of("CreateRole")).toEqual([{ name: "looks", permissions: ["read:run"] }]);
  });
});

const person = (id: string, username: string, account_type: string) => ({
  id, username, email: null, account_type, created: "2026-11-30T00:00:00Z", deleted_at: null, memberships: [{ id: `m-${id}`, role_id: "r1", role_detail: { name: "USER" } }],
});

describe("the people of a tenant", () => {
  it("are listed with their roles, and a role is changed", async () => {
    const { user, gateway } = await show(<People />, {
      answers: { Roles: ROLES, People: { user_view_same_tenant: [person("u1", "<b>Ada</b>", "USER")] }, SetMembershipRole: { set_membership_role: { id: "m-u1" } } },
    });
    expect(await screen.findByText("<b>Ada</b>")).toBeTruthy();
    expect(screen.getByText("Person")).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Change role" }));
    fireEvent.click(await screen.findByLabelText(/^Role/, { selector: "input" }));
    fireEvent.click(await screen.findByText("<i>auditor</i>"));
    await user.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(gateway.of("SetMembershipRole")).toEqual([{ id: "m-u1", role: "r2" }]));
  });

  it("who are service accounts are deleted with their name typed", async () => {
    const { user, gateway } = await show(<People />, {
      answers: { People: { user_view_same_tenant: [person("s1", "ci", "SERVICE")] }, DeleteServiceAccount: { delete_service_account: done } },
    });
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    const dialog = within(await screen.findByRole("dialog"));
    fireEvent.change(dialog.getByLabelText(/^Type/), { target: { value: "ci" } });
    await user.click(dialog.getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(gateway.of("DeleteServiceAccount")).toEqual([{ id: "s1" }]));
  });

  it("offer nothing to a reader", async () => {
    await show(<People />, { role: "read_only", answers: { People: { user_view_same_tenant: [person("s1", "ci", "SERVICE")] } } });
    expect(await screen.findByText("ci")).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("invitations", () => {
  it("are made for an address and a role, handed on, and taken back", async () => {
    const { user, gateway } = await show(<Invitations />, {
      answers: {
        Roles: ROLES,
        Invitations: { membership_invitation: [{ id: "i1", created: "2026-11-30T00:00:00Z", email: "ann@x.org", role_detail: { name: "USER" } }] },
        Invite: { create_membership_invitation: { id: "i2" } },
        TakeBackInvitation: { delete_membership_invitation: done },
      },
    });
    expect(await screen.findByText(/\/accept\?invitation_id=i1$/)).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Invite" }));
    const dialog = within(await screen.findByRole("dialog"));
    fireEvent.change(dialog.getByLabelText(/^E-mail/), { target: { value: "bob@x.org" } });
    fireEvent.click(dialog.getByLabelText(/^Role/, { selector: "input" }));
    fireEvent.click(await screen.findByText("<i>auditor</i>"));
    await user.click(dialog.getByRole("button", { name: "Invite" }));
    await waitFor(() => expect(gateway.of("Invite")).toEqual([{ email: "bob@x.org", role: "r2" }]));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    await user.click(screen.getByRole("button", { name: "Take back" }));
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Take back" }));
    await waitFor(() => expect(gateway.of("TakeBackInvitation")).toEqual([{ id: "i1" }]));
  });
});
