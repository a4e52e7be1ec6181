import { Button } from "@mantine/core";
import { useEffect, useState } from "react";

import { BASE } from "../api/client";
import { FramelessPage } from "./FramelessPage";
import { KeyForm } from "./KeyForm";

/** How people log in here; `failed` says why they came back from their provider without a session. */
type Ways = { single_sign_on: { name: string } | null; failed: string | null };

const FAILED = "log_in_failed";

/** The address of this page below the base, to be here again after the log-in. */
function here(): string {
  const { pathname, search } = window.location;
  const below = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : "";
  return new URLSearchParams(search).has(FAILED) ? "/" : `/${below}${search}`;
}

function useWays(): Ways | null {
  const [ways, setWays] = useState<Ways | null>(null);
  useEffect(() => {
    const failed = new URLSearchParams(window.location.search).get(FAILED);
    const asked = failed === null ? "" : `?failed=${encodeURIComponent(failed)}`;
    const ended = new AbortController();
    // Without an answer there is the key, which says what is the matter.
    fetch(`${BASE}session/ways${asked}`, { signal: ended.signal })
      .then(async (answer) => {
        if (answer.ok) setWays((await answer.json()) as Ways);
      })
      .catch(() => undefined);
    return () => ended.abort();
  }, []);
  return ways;
}

/** Who is nobody is asked for a key, or sent to the provider of their organisation. */
export function LogIn({ onDone }: { onDone: () => void }) {
  const ways = useWays();
  return (
    <FramelessPage title="Log in">
      {ways?.failed && (
        <p className="card" role="alert">
          {ways.failed}
        </p>
      )}
      {ways?.single_sign_on && (
        <Button
          component="a"
          href={`${BASE}session/sso?return_to=${encodeURIComponent(here())}`}
          mb="md"
          fullWidth
        >
          Log in with {ways.single_sign_on.name}
        </Button>
      )}
      <KeyForm label="Log in" onDone={onDone} />
    </FramelessPage>
  );
}
