import { Button, PasswordInput } from "@mantine/core";
import { useState } from "react";

import { BASE } from "../api/client";
import { Page } from "../components/basics";

/** Why a log-in was refused; what a proxy says in the gateway's place is no JSON. */
async function sentenceOf(answer: Response): Promise<string> {
  const told = (await answer.json().catch(() => null)) as { errors?: { message?: string }[] } | null;
  return told?.errors?.[0]?.message ?? `The log-in was answered with ${answer.status}.`;
}

/** Who is nobody is asked for a key. */
export function LogIn({ onDone }: { onDone: () => void }) {
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
