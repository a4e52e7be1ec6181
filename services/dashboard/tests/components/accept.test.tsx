import { screen, waitFor, within } from "@testing-library/react";
import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";

import { Accept } from "../../src/pages/Accept";
import { Refusal, type Answers } from "../support/gateway";
import { show, TENANT } from "../support/show";

const ID = "0190a2b3-0000-4000-8000-000000000001";
const BETA = "0190a2b3-0000-7000-8000-0000000000bb";
const GONE = `invitation_id: there is no invitation ${ID}: it was accepted, declined or taken back, or it has run out. Ask for another one.`;
const MEMBER = `A user with email "ann@x.org" already has a membership in tenant ${BETA}.`;

const invitation = (more: object = {}) => ({
  membership_invitation_by_pk: {
    id: ID, created: "2026-11-30T00:00:00Z", email: "ann@x.org", tenant_id: BETA,
    tenant: { name: "<b>Beta</b>", slug: "beta" }, role_detail: { name: "READ_ONLY_USER" }, ...more,
  },
});
const opened = (answers: Answers, at = `/accept?invitation_id=${ID}`) => show(<Accept />, { path: "/accept", at, answers });

/** The rules that need no layout and no colours; those are looked at in a browser. */
async function faults(): Promise<string[]> {
  const { violations } = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  return violations.map(({ id, help }) => `${id}: ${help}`);
}

describe("the page of an invitation", () => {
  it("says who invites, whom and with which role, whatever the tenant is called", async () => {
    const { gateway } = await opened({ InvitationOfLink: invitation() });
    expect(await screen.findByText("<b>Beta</b>")).toBeTruthy();
    expect(screen.getByText("ann@x.org")).toBeTruthy();
    expect(screen.getByText("Read only")).toBeTruthy();
    expect(gateway.of("InvitationOfLink")).toEqual([{ id: ID }]);
    expect(await faults()).toEqual([]);
  });

  it("accepts, begins a session in that tenant with the reader's key, and goes there", async () => {
    const { user, gateway, history } = await opened({ InvitationOfLink: invitation(), AcceptInvitation: { accept_membership_invitation: { id: "m1" } } });
    const logIns: unknown[] = [];
    vi.stubGlobal("fetch", (address: string, init: RequestInit) => {
      if (!address.endsWith("/session")) return gateway.fetch(address, init);
      logIns.push(JSON.parse(String(init.body)));
      return Promise.resolve(new Response("{}"));
    });
    await user.click(await screen.findByRole("button", { name: "Accept" }));
    expect((await screen.findByRole("status")).textContent).toContain("You are a member of <b>Beta</b> now.");
    expect(await faults()).toEqual([]);
    await user.type(screen.getByLabelText("API key"), "hw_mine");
    await user.click(screen.getByRole("button", { name: "Enter <b>Beta</b>" }));
    await waitFor(() => expect(history.location.pathname).toBe("/beta"));
    expect(gateway.of("AcceptInvitation")).toEqual([{ id: ID }]);
    expect(logIns).toEqual([{ key: "hw_mine", tenant_id: BETA }]);
    expect(gateway.of("Session")).toHaveLength(2);
  });

  it.each([GONE, MEMBER])("shows a refusal word for word, and keeps the question: %s", async (text) => {
    const { user } = await opened({ InvitationOfLink: invitation(), AcceptInvitation: () => new Refusal(text) });
    await user.click(await screen.findByRole("button", { name: "Accept" }));
    expect((await screen.findByRole("alert")).textContent).toBe(text);
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Accept" }).disabled).toBe(false);
  });

  it("declines after a question, and nothing else", async () => {
    const { user, gateway } = await opened({ InvitationOfLink: invitation(), DeclineInvitation: { delete_membership_invitation: { success: true, error: null } } });
    await user.click(await screen.findByRole("button", { name: "Decline" }));
    expect(gateway.of("DeclineInvitation")).toEqual([]);
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Decline" }));
    expect(await screen.findByText("You declined.")).toBeTruthy();
    expect(gateway.of("DeclineInvitation")).toEqual([{ id: ID }]);
    expect(gateway.of("AcceptInvitation")).toEqual([]);
  });

  it("says why it could not be declined", async () => {
    const { user } = await opened({ InvitationOfLink: invitation(), DeclineInvitation: { delete_membership_invitation: { success: false, error: "This tenant has no invitation." } } });
    await user.click(await screen.findByRole("button", { name: "Decline" }));
    const dialog = within(await screen.findByRole("dialog"));
    await user.click(dialog.getByRole("button", { name: "Decline" }));
    expect((await dialog.findByRole("alert")).textContent).toBe("This tenant has no invitation.");
  });

  it("offers nothing to those who are in that tenant: it is somebody else's", async () => {
    await opened({ InvitationOfLink: invitation({ tenant_id: TENANT }) });
    expect(await screen.findByText("You are in Acme already.")).toBeTruthy();
    expect(screen.getByText(/is for ann@x.org/)).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });

  it("says that an invitation is not good any more", async () => {
    await opened({ InvitationOfLink: { membership_invitation_by_pk: null } });
    expect(await screen.findByText("This invitation is not good any more.")).toBeTruthy();
    expect(await faults()).toEqual([]);
  });

  it.each(["/accept", "/accept?invitation_id=", "/accept?invitation_id=x"])("asks nothing for %s, which names none", async (at) => {
    const { gateway } = await opened({}, at);
    expect(await screen.findByText("This link names no invitation.")).toBeTruthy();
    expect(gateway.of("InvitationOfLink")).toEqual([]);
  });
});
