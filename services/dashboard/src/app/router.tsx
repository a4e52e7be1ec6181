import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Navigate, Outlet, useParams } from "@tanstack/react-router";

import { BASE } from "../api/client";
import { Empty, Page } from "../components/basics";
import { filtersFrom } from "../lib/filters";
import { useSession, useTenant } from "./session";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: function Home() {
    const tenant = useTenant(undefined);
    return tenant ? <Navigate to="/$slug" params={{ slug: tenant.slug }} replace /> : <NotFound />;
  },
});

const shell = createRoute({ getParentRoute: () => root, path: "/$slug", component: Shell, notFoundComponent: NotFound });

/** The named texts of an address; what is absent stays absent, so that links need not name it. */
function texts<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): { [N in Name]?: string } => {
    const found: { [N in Name]?: string } = {};
    for (const name of names) {
      const value = search[name];
      if (typeof value === "string" && value !== "") found[name] = value;
    }
    return found;
  };
}

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: lazyRouteComponent(() => import("../pages/Overview"), "Overview"),
});
const flows = createRoute({
  getParentRoute: () => shell,
  path: "/flows",
  validateSearch: texts("project", "q"),
  component: lazyRouteComponent(() => import("../pages/Flows"), "Flows"),
});
const flow = createRoute({
  getParentRoute: () => shell,
  path: "/flow/$id",
  validateSearch: (search: Record<string, unknown>): { version?: number } => {
    const version = Number(search["version"]);
    return Number.isInteger(version) && version > 0 ? { version } : {};
  },
  component: lazyRouteComponent(() => import("../pages/Flow"), "Flow"),
});
const newRun = createRoute({
  getParentRoute: () => shell,
  path: "/flow/$id/run",
  validateSearch: texts("like"),
  component: lazyRouteComponent(() => import("../pages/NewRun"), "NewRun"),
});
const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: filtersFrom,
  component: lazyRouteComponent(() => import("../pages/Runs"), "Runs"),
});
const flowRun = createRoute({
  getParentRoute: () => shell,
  path: "/flow-run/$id",
  validateSearch: texts("tab", "logId"),
  component: lazyRouteComponent(() => import("../pages/FlowRun"), "FlowRun"),
});
const taskRun = createRoute({
  getParentRoute: () => shell,
  path: "/task-run/$id",
  component: lazyRouteComponent(() => import("../pages/TaskRun"), "TaskRun"),
});
const agents = createRoute({
  getParentRoute: () => shell,
  path: "/agents",
  component: lazyRouteComponent(() => import("../pages/Agents"), "Agents"),
});
const limits = createRoute({
  getParentRoute: () => shell,
  path: "/limits",
  component: lazyRouteComponent(() => import("../pages/Limits"), "Limits"),
});
const calendar = createRoute({
  getParentRoute: () => shell,
  path: "/calendar",
  component: lazyRouteComponent(() => import("../pages/Calendar"), "Calendar"),
});
const projects = createRoute({
  getParentRoute: () => shell,
  path: "/projects",
  component: lazyRouteComponent(() => import("../pages/Projects"), "Projects"),
});
const values = createRoute({
  getParentRoute: () => shell,
  path: "/values",
  component: lazyRouteComponent(() => import("../pages/Values"), "Values"),
});
const team = createRoute({
  getParentRoute: () => shell,
  path: "/team",
  component: lazyRouteComponent(() => import("../pages/Team"), "Team"),
});

/** Addresses of the old UI: bookmarks and links in old messages go on working. */
function moved(path: string, to: string) {
  return createRoute({
    getParentRoute: () => shell,
    path,
    component: function Moved() {
      const { slug, id } = useParams({ strict: false }) as { slug: string; id?: string };
      return <Navigate to={to.replace("$slug", slug).replace("$id", id ?? "") as "/"} replace />;
    },
  });
}

/** A place without a tenant in its address: `/flow/{id}` of clients before 0.13. */
function bare(path: string, to: string) {
  return createRoute({
    getParentRoute: () => root,
    path,
    component: function Bare() {
      const tenant = useTenant(undefined);
      const { id } = useParams({ strict: false }) as { id?: string };
      if (!tenant) return <NotFound />;
      return <Navigate to={`/${tenant.slug}/${to.replace("$id", id ?? "")}` as "/"} replace />;
    },
  });
}

export const router = createRouter({
  basepath: BASE,
  routeTree: root.addChildren([
    home,
    bare("/flow/$id", "flow/$id"),
    bare("/flow-run/$id", "flow-run/$id"),
    bare("/task-run/$id", "task-run/$id"),
    bare("/team/$", "team"),
    bare("/user/$", "team"),
    bare("/notifications", ""),
    bare("/login", ""),
    shell.addChildren([
      overview, flows, flow, newRun, runs, flowRun, taskRun, agents, limits, calendar, projects, values, team,
      moved("/project/$id", "/$slug/flows?project=$id"),
      moved("/agent", "/$slug/agents"),
      moved("/agent/$id", "/$slug/agents"),
      moved("/concurrency-limits", "/$slug/limits"),
    ]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function NotFound() {
  const session = useSession();
  return (
    <Page title="Not found">
      <Empty title="There is no page at this address.">
        <a href={BASE}>Go to the overview of {session.tenants[0]?.name ?? "Headwater"}</a>
      </Empty>
    </Page>
  );
}
