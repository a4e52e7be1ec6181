import { Button } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import { act } from "../../app/live";
import { useSession } from "../../app/session";

const TEST = graphql(`
  mutation TestAction($id: UUID!) {
    test_action(input: { action_id: $id }) {
      success
      error
      status
      latency_ms
      answer
    }
  }
`);

/** A button that does what an action does, now, with an invented event, and what the receiver said. */
export function Test({ action, name }: { action: string; name: string }) {
  const { may } = useSession();
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<{ text: string; isGood: boolean } | null>(null);
  if (!may(TEST)) return null;
  const test = async () => {
    setBusy(true);
    try {
      const { test_action: answer } = await act(TEST, { id: action });
      const status = answer?.status == null ? "it was done" : `the receiver answered ${answer.status}`;
      setSaid({ text: `Sent: ${status}${answer?.latency_ms == null ? "" : ` in ${answer.latency_ms.toLocaleString("en")} ms`}.`, isGood: true });
    } catch (reason) {
      setSaid({ text: (reason as Error).message, isGood: false });
    }
    setBusy(false);
  };
  return (
    <>
      {said && (
        <span className={`note wrap ${said.isGood ? "good" : "fails"}`} role={said.isGood ? "status" : "alert"}>
          {said.text}
        </span>
      )}
      <Button variant="default" loading={busy} onClick={() => void test()} aria-label={`Test ${name}`}>
        Test
      </Button>
    </>
  );
}
