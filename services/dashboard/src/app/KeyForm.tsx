import { Button, PasswordInput } from "@mantine/core";
import { useState } from "react";

import { BASE } from "../api/client";

/** Why a log-in was refused; what a proxy says in the gateway's place is no JSON. */
async function sentenceOf(answer: Response): Promise<string> {
  const told = (await answer.json().catch(() => null)) as { errors?: { message?: string }[] } | null;
  return told?.errors?.[0]?.message ?? `The log-in was answered with ${answer.status}.`;
}

/** Begin a session with an API key: in the tenant of this id, else in the key's own. */
export function KeyForm({ label, tenant, onDone }: { label: string; tenant?: string; onDone: () => void }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<string | null>(null);
  const logIn = async () => {
    setError(null);
    try {
      const answer = await fetch(`${BASE}session`, {
        method: "POST",
        credentials: "same-origin",
        headers: { "content-type": "application/json", "x-headwater": "dashboard" },
        body: JSON.stringify(tenant === undefined ? { key } : { key, tenant_id: tenant }),
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
        {label}
      </Button>
    </form>
  );
}
