import { Button } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../api/generated";
import { When } from "../components/basics";
import { act } from "./live";
import { useSeldom } from "./seldom";
import { useSession } from "./session";

const QUEUE = graphql(`
  query WorkQueue($tenant: uuid!) {
    tenant(where: { id: { _eq: $tenant } }) {
      id
      settings
    }
  }
`);
const WHO = graphql(`
  query WhoPaused {
    audit_log(where: { message: { _eq: "pause_tenant_work_queue" } }, order_by: [{ timestamp: desc }], limit: 1) {
      id
      actor
      actor_name
      timestamp
    }
  }
`);
const RESUME = graphql(`mutation ResumeQueue($tenant: UUID!) { resume_tenant_work_queue(input: { tenant_id: $tenant }) { success error } }`);

/** Whether the tenant's work queue is paused; null while that is not known, or may not be. */
export function useIsPaused(tenant: string): boolean | null {
  const { may } = useSession();
  const { data } = useSeldom(QUEUE, { tenant }, { enabled: may("read:tenant") });
  const [found] = data?.tenant ?? [];
  return found === undefined ? null : (found.settings as { work_queue_paused?: unknown } | null)?.work_queue_paused === true;
}

/** On every page while the work queue is paused: that nothing starts, who has paused it and when, and the way out. */
export function Paused({ tenant }: { tenant: string }) {
  return useIsPaused(tenant) === true ? <Notice tenant={tenant} /> : null;
}

function Notice({ tenant }: { tenant: string }) {
  const { may } = useSession();
  const { data } = useSeldom(WHO, {}, { enabled: may("read:audit-trail") });
  const [line] = data?.audit_log ?? [];
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  // No question before it: the code of dialogs is no part of the frame, and what is resumed can be paused again.
  const resume = async () => {
    setBusy(true);
    await act(RESUME, { tenant }).then(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
    setBusy(false);
  };
  return (
    <section className="note warns paused" aria-label="The work queue is paused">
      <p role="status">
        <b>The work queue is paused.</b> No run is given to an agent; runs that have begun go on.{" "}
        {line && (
          <>
            Paused <When at={line.timestamp} /> by <span className="wrap">{line.actor_name ?? line.actor}</span>.
          </>
        )}
      </p>
      {may(RESUME) && (
        <Button variant="default" loading={busy} onClick={() => void resume()}>
          Resume
        </Button>
      )}
      {error !== null && (
        <p className="note fails" role="alert">
          {error}
        </p>
      )}
    </section>
  );
}
