import {
  createRootRoute, createRoute, createRouter, lazyRouteComponent, Navigate, Outlet, redirect, useParams,
} from "@tanstack/react-router";
import { useEffect } from "react";

import { BASE } from "../api/client";
import { Empty, Page } from "../components/basics";
import { filtersFrom } from "../lib/filters";
import { flowRunSearch, flowSearch, oldStart, taskRunSearch } from "../lib/tabs";
import { stepped } from "./reload";
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

/** The link of an invitation, as the old UI had it; it is for people of other tenants, so it stands outside of the frame. */
const accept = createRoute({ getParentRoute: () => root, path: "/accept",
  validateSearch: texts("invitation_id"),
  component: lazyRouteComponent(() => import("../pages/Accept"), "Accept"),
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
  beforeLoad: ({ location, params }) => {
    const old = oldStart(location.search);
    if (old?.to === "calendar") throw redirect({ to: "/$slug/calendar", params, replace: true });
    if (old) throw redirect({ to: "/$slug/flows", params, search: old.q ? { q: old.q } : {}, replace: true });
  },
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
  validateSearch: flowSearch,
  beforeLoad: ({ search, params }) => {
    if (search.run) throw redirect({ to: "/$slug/flow/$id/run", params, replace: true });
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
  validateSearch: flowRunSearch,
  component: lazyRouteComponent(() => import("../pages/FlowRun"), "FlowRun"),
});
const taskRun = createRoute({
  getParentRoute: () => shell,
  path: "/task-run/$id",
  validateSearch: taskRunSearch,
  component: lazyRouteComponent(() => import("../pages/TaskRun"), "TaskRun"),
});
const task = createRoute({
  getParentRoute: () => shell,
  path: "/task/$id",
  component: lazyRouteComponent(() => import("../pages/Task"), "Task"),
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
const automations = createRoute({
  getParentRoute: () => shell,
  path: "/automations",
  validateSearch: texts("tab", "status"),
  component: lazyRouteComponent(() => import("../pages/Automations"), "Automations"),
});
const inbox = createRoute({
  getParentRoute: () => shell,
  path: "/inbox",
  validateSearch: texts("show"),
  component: lazyRouteComponent(() => import("../pages/Inbox"), "Inbox"),
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

/** A link without an id: Slack messages of runs that had none. */
function nameless(path: string) {
  return createRoute({
    getParentRoute: () => shell,
    path,
    component: function Nameless() {
      return (
        <Page title="This link names nothing">
          <Empty title="The link has no id.">Whoever made it did not know which run or flow it was about.</Empty>
        </Page>
      );
    },
  });
}

/** The query editor is a page of its own. */
function Editor() {
  useEffect(() => location.replace(`${BASE}graphql`), []);
  return null;
}

export const router = createRouter({
  basepath: BASE,
  routeTree: root.addChildren([
    home,
    accept,
    bare("/flow/$id", "flow/$id"),
    bare("/flow-run/$id", "flow-run/$id"),
    bare("/task-run/$id", "task-run/$id"),
    bare("/task/$id", "task/$id"),
    bare("/project/$id", "flows?project=$id"),
    ...["calendar", "runs", "limits"].map((page) => bare(`/${page}`, page)),
    ...["/agent", "/agent/$id"].map((path) => bare(path, "agents")),
    ...["/team", "/team/$page", "/user", "/user/$page"].map((path) => bare(path, "team")),
    bare("/notifications", "inbox"),
    ...["/login", "/search", "/tutorial"].map((path) => bare(path, "")),
    createRoute({ getParentRoute: () => root, path: "/api", component: Editor }),
    shell.addChildren([
      overview, flows, flow, newRun, runs, flowRun, taskRun, task, agents, limits, calendar, automations, inbox, projects, values, team,
      moved("/project/$id", "/$slug/flows?project=$id"),
      moved("/agent", "/$slug/agents"),
      moved("/agent/$id", "/$slug/agents"),
      moved("/concurrency-limits", "/$slug/limits"),
      ...["/team/$page", "/user", "/user/$page"].map((path) => moved(path, "/$slug/team")),
      moved("/notifications", "/$slug/inbox"),
      ...["/login", "/tutorial"].map((path) => moved(path, "/$slug")),
      ...["/flow", "/flow-run", "/task-run", "/task"].map(nameless),
      createRoute({ getParentRoute: () => shell, path: "/api", component: Editor }),
    ]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

router.subscribe("onBeforeNavigate", ({ pathChanged, fromLocation }) => {
  if (pathChanged && fromLocation) stepped();
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
