import { MantineProvider } from "@mantine/core";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";

import { LogIn } from "../../src/app/LogIn";
import { theme } from "../../src/theme/theme";

function shown(ways: object | null, at = "/") {
  window.history.replaceState(null, "", at);
  const asked: string[] = [];
  vi.stubGlobal("fetch", (address: string) => {
    asked.push(address);
    return ways === null ? Promise.reject(new TypeError("away")) : Promise.resolve(new Response(JSON.stringify(ways)));
  });
  render(
    <MantineProvider theme={theme} env="test">
      <LogIn onDone={() => undefined} />
    </MantineProvider>,
  );
  return asked;
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  window.history.replaceState(null, "", "/");
});

describe("the log-in page", () => {
  it("offers the provider, and comes back to where the reader was", async () => {
    shown({ single_sign_on: { name: "Example" }, failed: null }, "/acme/runs?state=Failed");
    const link = await screen.findByRole("link", { name: "Log in with Example" });
    expect(link.getAttribute("href")).toBe(`/session/sso?return_to=${encodeURIComponent("/acme/runs?state=Failed")}`);
    expect(screen.getByLabelText("API key", { exact: false })).toBeTruthy();
  });

  it("says why a log-in failed, in the gateway's words and not in the address's", async () => {
    const asked = shown({ single_sign_on: { name: "Example" }, failed: "You are not expected." }, "/?log_in_failed=not_invited%26x");
    expect((await screen.findByRole("alert")).textContent).toBe("You are not expected.");
    expect(asked).toEqual(["/session/ways?failed=not_invited%26x"]);
    const link = screen.getByRole("link", { name: "Log in with Example" });
    expect(link.getAttribute("href")).toBe("/session/sso?return_to=%2F");
  });

  it("has the key alone where nothing else is offered, or nothing answers", async () => {
    shown({ single_sign_on: null, failed: null });
    await Promise.resolve();
    expect(screen.queryByRole("link")).toBeNull();
    cleanup();
    shown(null);
    await Promise.resolve();
    expect(screen.getByRole("button", { name: "Log in" })).toBeTruthy();
  });
});
