import { queryOptions, useQuery, type QueryClient } from "@tanstack/react-query";
import { createContext, lazy, Suspense, useContext, type ReactNode } from "react";

import { actAs, ApiError, request } from "../api/client";
import { graphql } from "../api/generated";
import { Problem } from "../components/basics";
import { isAllowed, type Asked } from "../lib/permissions";

const SESSION = graphql(`
  query Session {
    api {
      version
      mode
      core_version
    }
    auth_info {
      role
      tenant_id
      permissions
      token_type
    }
    user {
      memberships {
        tenant {
          id
          name
          slug
        }
      }
    }
  }
`);

export type Session = {
  version: string;
  role: string;
  tenants: { id: string; name: string; slug: string }[];
  /** The tenant of a caller who names none. */
  home: string | null;
  /** Whether the caller may do all of this: permissions, or documents of mutations. The server decides again. */
  may: (...asked: readonly Asked[]) => boolean;
};

const Context = createContext<Session | null>(null);
const LogIn = lazy(() => import("./LogIn").then((part) => ({ default: part.LogIn })));

export function useSession(): Session {
  const found = useContext(Context);
  if (!found) throw new Error("useSession is used outside of SessionProvider");
  return found;
}

const WHO = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => request(SESSION, {}, signal),
  staleTime: Infinity,
  retry: (count, error) => !(error instanceof ApiError && error.kind === "unauthenticated") && count < 30,
  retryDelay: (count) => Math.min(1000 * 2 ** count, 5000),
});

/** Ask before anything is drawn, so that the answer is on its way meanwhile. */
export function askWho(client: QueryClient): void {
  void client.prefetchQuery(WHO);
}

/** Ask who the caller is; who is nobody is asked for a key. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const session = useQuery(WHO);
  if (session.error instanceof ApiError && session.error.kind === "unauthenticated") {
    return (
      <Suspense>
        <LogIn onDone={() => void session.refetch()} />
      </Suspense>
    );
  }
  if (session.error) {
    return (
      <main id="main">
        <Problem error={session.error} again={() => void session.refetch()} />
      </main>
    );
  }
  if (!session.data) return <Opening isAway={session.failureCount > 0} />;
  const { api, auth_info: caller, user } = session.data;
  const held = new Set(caller.permissions);
  // Who they are and where they belong is told to everybody, so a role without `read:tenant` opens the pages, too. A key
  // acts in its own tenant alone, whatever others its holder belongs to.
  const tenants = (user[0]?.memberships ?? [])
    .map(({ tenant }) => tenant)
    .filter(({ id }) => caller.token_type === "NONE" || id === caller.tenant_id);
  const value: Session = {
    version: api.version,
    role: caller.role,
    tenants,
    home: caller.tenant_id ?? tenants[0]?.id ?? null,
    may: (...asked) => isAllowed(held, ...asked),
  };
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

/** Before anything is known: nothing for the moment that it takes, and what is the matter where it takes longer. */
function Opening({ isAway }: { isAway: boolean }) {
  if (!isAway) return null;
  return (
    <main id="main" className="empty" style={{ marginTop: "20vh" }} role="status">
      <b>Headwater cannot be reached.</b>
      <span>This page opens by itself as soon as it answers. `make status` tells what runs.</span>
    </main>
  );
}

/** Act in the tenant of a slug; a slug that nobody has falls back to the caller's own. */
export function useTenant(slug: string | undefined): Session["tenants"][number] | null {
  const session = useSession();
  const found =
    session.tenants.find((each) => each.slug === slug) ??
    session.tenants.find((each) => each.id === session.home) ??
    session.tenants[0] ??
    null;
  actAs(found?.id ?? null);
  return found;
}
