import { Button, Select, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { ApiError, BASE } from "../api/client";
import { localZone } from "../lib/time";
import { usePreferences } from "./preferences";
import { Search } from "./Search";
import { useSession, useTenant } from "./session";

const PLACES = [
  ["Overview", "/$slug"],
  ["Flows", "/$slug/flows"],
  ["Runs", "/$slug/runs"],
  ["Calendar", "/$slug/calendar"],
  ["Agents", "/$slug/agents"],
  ["Limits", "/$slug/limits"],
  ["Projects", "/$slug/projects"],
  ["KV and secrets", "/$slug/values"],
  ["Team", "/$slug/team"],
] as const;

export function Shell() {
  const { slug } = useParams({ strict: false }) as { slug?: string };
  const tenant = useTenant(slug);
  const session = useSession();
  const navigate = useNavigate();
  if (!tenant) return <p className="empty">There is no tenant that this key may see.</p>;
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <Connection />
      <div className="shell">
        <header className="side">
          <Link to="/$slug" params={{ slug: tenant.slug }} className="brand">
            <img src={`${BASE}favicon.svg`} alt="" />
            Headwater
          </Link>
          {session.tenants.length > 1 && (
            <Select
              aria-label="Tenant"
              size="xs"
              data={session.tenants.map((each) => ({ value: each.slug, label: each.name }))}
              value={tenant.slug}
              allowDeselect={false}
              onChange={(chosen) => chosen && void navigate({ to: "/$slug", params: { slug: chosen } })}
            />
          )}
          <Search slug={tenant.slug} />
          <nav aria-label="Pages">
            {PLACES.map(([name, to]) => (
              <Link
                key={to}
                to={to}
                params={{ slug: tenant.slug }}
                activeOptions={{ exact: to === "/$slug", includeSearch: false }}
                activeProps={{ "aria-current": "page" }}
              >
                {name}
              </Link>
            ))}
            <a href={`${BASE}graphql`}>API</a>
          </nav>
          <Choices />
        </header>
        <main id="main">
          <Outlet key={tenant.id} />
        </main>
      </div>
    </>
  );
}

function Choices() {
  const { zone, setZone } = usePreferences();
  const { setColorScheme } = useMantineColorScheme();
  const colorScheme = useComputedColorScheme("light");
  const { version, role } = useSession();
  const zones = [...new Set([localZone(), "UTC", ...Intl.supportedValuesOf("timeZone")])];
  return (
    <footer>
      <Select
        aria-label="Time zone"
        size="xs"
        searchable
        data={zones}
        value={zone}
        limit={50}
        allowDeselect={false}
        onChange={(chosen) => chosen && setZone(chosen)}
      />
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => setColorScheme(colorScheme === "dark" ? "light" : "dark")}
      >
        {colorScheme === "dark" ? "Light theme" : "Dark theme"}
      </Button>
      <span>
        {version} · {role}
      </span>
    </footer>
  );
}

/** Say when Headwater cannot be reached. What was seen last stays on the page. */
function Connection() {
  const client = useQueryClient();
  const [lost, setLost] = useState(false);
  useEffect(
    () =>
      client.getQueryCache().subscribe(({ query, type }) => {
        if (type !== "updated") return;
        const { status, error, fetchFailureReason } = query.state;
        const reason = error ?? fetchFailureReason;
        if (reason instanceof ApiError && reason.kind === "unreachable") setLost(true);
        else if (status === "success" && query.state.fetchStatus === "idle" && !reason) setLost(false);
      }),
    [client],
  );
  useEffect(() => {
    if (!lost) return;
    // The page is whole again as soon as the gateway answers, without a reload.
    const timer = setInterval(() => void client.refetchQueries({ type: "active" }), 3_000);
    return () => clearInterval(timer);
  }, [client, lost]);
  if (!lost) return null;
  return (
    <div className="banner" role="status">
      Headwater cannot be reached. You see what was true a moment ago; the page goes on by itself.
    </div>
  );
}
