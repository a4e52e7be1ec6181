import { screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { Unread } from "../../src/app/Unread";
import { show } from "../support/show";

const count = (unread: number) => ({ message_aggregate: { aggregate: { count: unread } } });

describe("what stands in the frame of every page", () => {
  it("is asked again with a step to another page, where it is not new", async () => {
    let unread = 1;
    const { gateway, history } = await show(<Unread />, { path: "/$page", at: "/one", answers: { Unread: () => count(unread) } });
    await screen.findByText("unread");
    history.push("/acme/two");
    await waitFor(() => expect(history.location.pathname).toBe("/acme/two"));
    expect(gateway.of("Unread")).toHaveLength(1);

    unread = 2;
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 60_000);
    history.push("/acme/three");
    await waitFor(() => expect(screen.getByText("unread").parentElement?.textContent).toBe("2 unread"));
    vi.restoreAllMocks();
    expect(gateway.of("Unread")).toHaveLength(2);
  });
});
