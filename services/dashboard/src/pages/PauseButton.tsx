import { graphql } from "../api/generated";
import { act } from "../app/live";
import { useIsPaused } from "../app/Paused";
import { useSession } from "../app/session";
import { Confirmed } from "../components/Dialog";

const PAUSE = graphql(`mutation PauseQueue($tenant: UUID!) { pause_tenant_work_queue(input: { tenant_id: $tenant }) { success error } }`);

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
