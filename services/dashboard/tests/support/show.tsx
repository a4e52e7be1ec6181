import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, Outlet, RouterProvider } from "@tanstack/react-router";
import { cleanup, configure, render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, vi } from "vitest";

import NEEDS from "../../src/lib/needs.json";
import { queries } from "../../src/app/live";
import { PreferencesProvider } from "../../src/app/preferences";
import { SessionProvider } from "../../src/app/session";
import { theme } from "../../src/theme/theme";
import { StandIn, type Answers } from "./gateway";

export const TENANT = "0190a2b3-0000-7000-8000-0000000000aa";

/** Every permission that a mutation needs, those to read, and what is needed for other people's invitations. */
const ALL = [
  ...new Set(Object.values(NEEDS).flatMap((each) => each.split(" ").filter((permission) => permission !== ""))),
  ...["run", "flow", "project", "agent", "log", "tenant", "concurrency-limit", "key-value", "secret", "hook", "flow-sla", "cloud-hook", "message", "api-key", "user", "role", "membership-invitation", "audit-trail"].map((name) => `read:${name}`),
  "delete:membership-invitation",
];

/** A caller's permissions, by what their role is called: an administrator's, a reader's, or those that are given. */
function sessionOf(role: string, permissions: readonly string[] | undefined) {
  const held = permissions ?? (role === "read_only" ? ALL.filter((each) => each.startsWith("read:")) : ALL);
  return {
    api: { version: "0.1.0", mode: "normal", core_version: "1.4.1" },
    auth_info: { role, tenant_id: TENANT, permissions: held, token_type: "API_KEY" },
    user: [{ memberships: [{ tenant: { id: TENANT, name: "Acme", slug: "acme" } }] }],
  };
}

type Options = {
  answers?: Answers;
  role?: string;
  /** What a custom role allows; the role's own otherwise. */
  permissions?: readonly string[];
  /** The path of the page's route below the tenant, and where the reader is. */
  path?: string;
  at?: string;
  search?: (search: Record<string, unknown>) => object;
};

/** Render a part of a page where it would stand: with its tenant, its address, a reader of this role, in UTC. */
export async function show(element: ReactNode, { answers = {}, role = "tenant_admin", permissions, path = "/", at = path, search = (all) => all }: Options = {}) {
  const gateway = new StandIn({ Session: sessionOf(role, permissions), ...answers });
  vi.stubGlobal("fetch", gateway.fetch);
  localStorage.setItem("headwater-zone", "UTC");
  const root = createRootRoute({ component: Outlet, notFoundComponent: () => null });
  const tenant = createRoute({ getParentRoute: () => root, path: "/$slug", component: Outlet });
  const page = createRoute({ getParentRoute: () => tenant, path, validateSearch: search, component: () => element });
  const history = createMemoryHistory({ initialEntries: [`/acme${at}`] });
  const router = createRouter({ routeTree: root.addChildren([tenant.addChildren([page])]), history });
  await router.load();
  render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={queries}>
        <PreferencesProvider>
          <SessionProvider>
            <RouterProvider router={router as never} />
          </SessionProvider>
        </PreferencesProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { gateway, history, user: userEvent.setup() };
}

// Others may use the same cores: what is waited for comes, it need not come at once.
configure({ asyncUtilTimeout: 15_000 });

// A document without a layout: what is drawn as far as it is seen needs sizes to be drawn at all.
const HEIGHTS: Record<string, number> = { virtual: 600, line: 20, vrow: 40 };
for (const [name, size] of [["offsetHeight", null], ["clientHeight", null], ["offsetWidth", 800], ["clientWidth", 800]] as const) {
  Object.defineProperty(window.HTMLElement.prototype, name, {
    configurable: true,
    get(this: HTMLElement) {
      return size ?? HEIGHTS[this.classList[0] ?? ""] ?? 0;
    },
  });
}
vi.stubGlobal(
  "ResizeObserver",
  class {
    observe() {}
    unobserve() {}
    disconnect() {}
  },
);

// Fields that grow with their text wait for fonts.
Object.defineProperty(document, "fonts", { value: new EventTarget() });

afterEach(() => {
  cleanup();
  queries.clear();
  localStorage.clear();
});
