import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Unread } from "../../src/app/Unread";
import { Inbox } from "../../src/pages/Inbox";
import { Refusal, type Answers } from "../support/gateway";
import { show } from "../support/show";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const done = { success: true, error: null };
const message = (id: string, read: boolean, text = `message ${id}`) => ({
  id, type: "CLOUD_HOOK", text, read, created: "2026-11-30T00:00:00Z", content: { event: { id: RUN, state: "Failed", flow: { name: "orders" } } },
});
const opened = (answers: Answers, options: Parameters<typeof show>[1] = {}) => show(<Inbox />, { path: "/inbox", answers, ...options });

describe("the inbox", () => {
  it("shows what is unread with a way to the run, whatever its text tries", async () => {
    const { gateway } = await opened({ Inbox: { message: [message("1", false, "<img src=x onerror=alert(1)>")] } });
    expect(await screen.findByText("<img src=x onerror=alert(1)>")).toBeTruthy();
    expect(screen.getByRole("link", { name: "To the run" }).getAttribute("href")).toBe(`/acme/flow-run/${RUN}`);
    expect(document.querySelector("img")).toBeNull();
    expect(gateway.of("Inbox")).toEqual([{ where: { read: { _eq: false } }, limit: 100 }]);
  });

  it("marks one as read, and it goes from the list", async () => {
    let rows = [message("1", false), message("2", false)];
    const { user, gateway } = await opened({
      Inbox: () => ({ message: rows }),
      MarkRead: ({ id }) => {
        rows = rows.filter((row) => row.id !== id);
        return { mark_message_as_read: done };
      },
    });
    const [first] = await screen.findAllByRole("button", { name: "Mark as read" });
    await user.click(first as HTMLElement);
    await waitFor(() => expect(screen.queryByText("message 1")).toBeNull());
    expect(screen.getByText("message 2")).toBeTruthy();
    expect(gateway.of("MarkRead")).toEqual([{ id: "1" }]);
  });

  it("marks all that are shown, each once, and looks again once", async () => {
    let rows = [message("1", false), message("2", false), message("3", false)];
    const { user, gateway } = await opened({
      Inbox: () => ({ message: rows }),
      MarkRead: ({ id }) => {
        rows = rows.filter((row) => row.id !== id);
        return { mark_message_as_read: done };
      },
    });
    await user.click(await screen.findByRole("button", { name: "Mark these 3 as read" }));
    expect(await screen.findByText("Everything is read.")).toBeTruthy();
    expect(gateway.of("MarkRead").map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect(gateway.of("Inbox")).toHaveLength(2);
  });

  it("shows all on demand, in the address, and marks a read one as unread", async () => {
    const { user, gateway } = await opened(
      { Inbox: { message: [message("1", true)] }, MarkUnread: { mark_message_as_unread: done } },
      { at: "/inbox?show=all" },
    );
    await user.click(await screen.findByRole("button", { name: "Mark as unread" }));
    await waitFor(() => expect(gateway.of("MarkUnread")).toEqual([{ id: "1" }]));
    expect(gateway.of("Inbox")[0]).toEqual({ where: {}, limit: 100 });
  });

  it("deletes one after a word about whose it is", async () => {
    const { user, gateway } = await opened({ Inbox: { message: [message("1", true)] }, DeleteMessage: { delete_message: done } });
    await user.click(await screen.findByRole("button", { name: "Delete" }));
    const dialog = within(await screen.findByRole("dialog"));
    expect(dialog.getByText(/for everybody of the tenant/)).toBeTruthy();
    await user.click(dialog.getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(gateway.of("DeleteMessage")).toEqual([{ id: "1" }]));
  });

  it("says why a message was not marked", async () => {
    const { user } = await opened({ Inbox: { message: [message("1", true)] }, MarkUnread: () => new Refusal("There is no such message.") });
    await user.click(await screen.findByRole("button", { name: "Mark as unread" }));
    expect((await screen.findByRole("alert")).textContent).toBe("There is no such message.");
  });

  it("says what writes into it while it is empty", async () => {
    await opened({ Inbox: { message: [] } }, { at: "/inbox?show=all" });
    expect(await screen.findByText(/PREFECT_MESSAGE, name/)).toBeTruthy();
  });

  it("offers nothing to a role that only reads messages", async () => {
    await opened({ Inbox: { message: [message("1", false)] } }, { role: "watcher", permissions: ["read:message"] });
    expect(await screen.findByText("message 1")).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("the count beside the inbox's name", () => {
  it.each([[3, "3 unread"], [100, "99+ unread"]])("of %i unread is %s", async (count, text) => {
    await show(<Unread />, { answers: { Unread: { message_aggregate: { aggregate: { count } } } } });
    expect((await screen.findByText("unread")).parentElement?.textContent).toBe(text);
  });
});
