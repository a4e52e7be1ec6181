import { Button, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { Link, Outlet, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { Suspense, type ReactNode } from "react";

import { BASE } from "../api/client";
import { Empty, Page } from "../components/basics";
import { roleName } from "../lib/roles";
import { Connection } from "./Connection";
import { Keys, useKey } from "./keys";
import { afterThePage } from "./later";
import { useEvents, useLink } from "./live";
import { missingAt, placesFor, type PLACES } from "./places";
import { Paused } from "./Paused";
import { usePreferences } from "./preferences";
import { Search } from "./Search";
import { useSession, useTenant } from "./session";
import { Unread } from "./Unread";

const TenantChoice = afterThePage(() => import("./choices").then((part) => part.TenantChoice));
const ZoneChoice = afterThePage(() => import("./choices").then((part) => part.ZoneChoice));

function GoKeys({ slug }: { slug: string }) {
  const { may } = useSession();
  return (
    <>
      {placesFor(may).map(([name, to, key]) => (
        <GoKey key={key} keys={`g ${key}`} name={name} slug={slug} to={to} />
      ))}
    </>
  );
}

function GoKey({ keys, name, slug, to }: { keys: string; name: string; slug: string; to: (typeof PLACES)[number][1] }) {
  const navigate = useNavigate();
  useKey(keys, name, () => void navigate({ to, params: { slug } }), { group: "Go to" });
  return null;
}

export function Shell() {
  const { slug } = useParams({ strict: false }) as { slug?: string };
  const tenant = useTenant(slug);
  const session = useSession();
  const navigate = useNavigate();
  useEvents(tenant?.id ?? null);
  if (!tenant) {
    return (
      <main id="main">
        <p className="empty">There is no tenant that this key may see.</p>
      </main>
    );
  }
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <Connection />
      <Keys />
      <GoKeys slug={tenant.slug} />
      <div className="shell">
        <header className="side">
          <Link to="/$slug" params={{ slug: tenant.slug }} className="brand">
            <img src={`${BASE}favicon.svg`} alt="" />
            Headwater
          </Link>
          {session.tenants.length > 1 && (
            <Suspense fallback={<span className="frame-box">{tenant.name}</span>}>
              <TenantChoice
                tenants={session.tenants}
                slug={tenant.slug}
                onChosen={(chosen) => void navigate({ to: "/$slug", params: { slug: chosen } })}
              />
            </Suspense>
          )}
          <Search slug={tenant.slug} />
          <nav aria-label="Pages">
            {placesFor(session.may).map(([name, to]) => (
              <Link
                key={to}
                to={to}
                params={{ slug: tenant.slug }}
                activeOptions={{ exact: to === "/$slug", includeSearch: false }}
                activeProps={{ "aria-current": "page" }}
              >
                {name}
                {to === "/$slug/inbox" && <Unread key={tenant.id} />}
              </Link>
            ))}
            <a href={`${BASE}graphql`}>API</a>
          </nav>
          <Choices />
        </header>
        <main id="main">
          <Paused key={tenant.id} tenant={tenant.id} />
          <Readable slug={tenant.slug}>
            <Outlet key={tenant.id} />
          </Readable>
        </main>
      </div>
    </>
  );
}

/** The page at the address, or which permission its reader lacks. */
function Readable({ slug, children }: { slug: string; children: ReactNode }) {
  const { may, role } = useSession();
  const { pathname } = useLocation();
  const missing = missingAt(pathname, may);
  if (missing.length === 0) return <>{children}</>;
  const [first] = placesFor(may);
  return (
    <Page title="Not for this role">
      <Empty title={`The role ${roleName(role)} does not show this page.`}>
        <span>It lacks {missing.join(", ")}. Whoever manages roles can add it on the page Team.</span>
        {first && (
          <Link to={first[1]} params={{ slug }}>
            Go to {first[0]}
          </Link>
        )}
      </Empty>
    </Page>
  );
}

function Choices() {
  const { zone, setZone } = usePreferences();
  const { setColorScheme } = useMantineColorScheme();
  const colorScheme = useComputedColorScheme("light");
  const { version, role } = useSession();
  return (
    <footer>
      <Suspense fallback={<span className="frame-box">{zone}</span>}>
        <ZoneChoice zone={zone} onChosen={setZone} />
      </Suspense>
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => setColorScheme(colorScheme === "dark" ? "light" : "dark")}
      >
        {colorScheme === "dark" ? "Light theme" : "Dark theme"}
      </Button>
      <LinkState />
      <span>
        {version} · {roleName(role)}
      </span>
    </footer>
  );
}

const LINK_TEXTS = {
  connecting: ["Connecting", "waiting", "The page looks now and then until it hears what changes."],
  fresh: ["Live", "success", "What changes is shown at once."],
  stale: ["Behind", "waiting", "The gateway hears nothing; the page looks now and then."],
  lost: ["Away", "failed", "Headwater cannot be reached."],
  refused: ["Polling", "waiting", "The gateway has no event stream for this page, so it looks every few seconds."],
} as const;

/** Whether the page is told of changes, or looks for them. */
function LinkState() {
  const [name, family, text] = LINK_TEXTS[useLink()];
  return (
    <span className="link-state" title={text}>
      <span className="dot" style={{ background: `var(--${family})` }} /> {name} · keys: <kbd>?</kbd>
    </span>
  );
}
