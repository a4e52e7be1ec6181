import { Button, PasswordInput } from "@mantine/core";
import { queryOptions, useQuery, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useState, type ReactNode } from "react";

import { actAs, ApiError, BASE, request } from "../api/client";
import { graphql } from "../api/generated";
import { Page, Problem } from "../components/basics";
import { isReader } from "../lib/roles";

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
      user_id
    }
    tenant(order_by: [{ created: asc }]) {
      id
      name
      slug
    }
  }
`);

export type Session = {
  version: string;
  role: string;
  tenants: { id: string; name: string; slug: string }[];
  /** The tenant of a caller who names none. */
  home: string | null;
  /** Whether the caller may change anything; the server decides again. */
  mayWrite: boolean;
};

const Context = createContext<Session | null>(null);

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
    return <LogIn onDone={() => void session.refetch()} />;
  }
  if (session.error) {
    return (
      <main id="main">
        <Problem error={session.error} again={() => void session.refetch()} />
      </main>
    );
  }
  if (!session.data) return <Opening isAway={session.failureCount > 0} />;
  const { api, auth_info, tenant } = session.data;
  const role = auth_info.role;
  const value: Session = {
    version: api.version,
    role,
    tenants: tenant,
    home: auth_info.tenant_id ?? tenant[0]?.id ?? null,
    mayWrite: !isReader(role),
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

/** Why a log-in was refused; what a proxy says in the gateway's place is no JSON. */
async function sentenceOf(answer: Response): Promise<string> {
  const told = (await answer.json().catch(() => null)) as { errors?: { message?: string }[] } | null;
  return told?.errors?.[0]?.message ?? `The log-in was answered with ${answer.status}.`;
}

function LogIn({ onDone }: { onDone: () => void }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<string | null>(null);
  const logIn = async () => {
    setError(null);
    try {
      const answer = await fetch(`${BASE}session`, {
        method: "POST",
        credentials: "same-origin",
        headers: { "content-type": "application/json", "x-headwater": "dashboard" },
        body: JSON.stringify({ key }),
      });
      if (answer.ok) return onDone();
      setError(
        answer.status === 401
          ? "Nobody has this key. An administrator makes one with `make keys`."
          : await sentenceOf(answer),
      );
    } catch {
      setError("Headwater cannot be reached.");
    }
  };
  return (
    <main id="main" className="log-in">
      <span className="brand">
        <img src={`${BASE}favicon.svg`} alt="" />
        Headwater
      </span>
      <Page title="Log in">
        <form
          className="card"
          onSubmit={(event) => {
            event.preventDefault();
            void logIn();
          }}
        >
          <PasswordInput
            label="API key"
            description="It is sent once. The browser keeps a cookie that ends with the key."
            value={key}
            onChange={(event) => setKey(event.currentTarget.value)}
            error={error}
            autoComplete="current-password"
            data-autofocus
          />
          <Button type="submit" mt="md" fullWidth disabled={key.trim() === ""}>
            Log in
          </Button>
        </form>
      </Page>
    </main>
  );
}
