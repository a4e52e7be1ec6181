import { graphql } from "../api/generated";
import { When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
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
const PAUSE = graphql(`mutation PauseQueue($tenant: UUID!) { pause_tenant_work_queue(input: { tenant_id: $tenant }) { success error } }`);
const RESUME = graphql(`mutation ResumeQueue($tenant: UUID!) { resume_tenant_work_queue(input: { tenant_id: $tenant }) { success error } }`);

/** Whether the tenant's work queue is paused; null while that is not known, or may not be. */
function useIsPaused(tenant: string): boolean | null {
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
        <Confirmed label="Resume" title="Resume the work queue?" run={() => act(RESUME, { tenant })}>
          <p>Runs that waited go out in the order in which they were due, some each second.</p>
        </Confirmed>
      )}
    </section>
  );
}

/** The button that pauses the work queue, for who may; nothing while it is paused, which the notice says. */
export function PauseButton({ tenant }: { tenant: string }) {
  const { may } = useSession();
  const isPaused = useIsPaused(tenant);
  if (isPaused !== false || !may(PAUSE)) return null;
  return (
    <Confirmed label="Pause the work queue" title="Pause the work queue?" run={() => act(PAUSE, { tenant })}>
      <p>From then on no agent is given a run, whichever flow it is of. Runs that have begun go on, and schedules make runs that wait.</p>
      <p>Every page says so until somebody resumes it.</p>
    </Confirmed>
  );
}
