import { Button, Switch } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import { act } from "../../app/live";
import { useSession } from "../../app/session";
import { Card, Empty } from "../../components/basics";
import { Words } from "../../components/Facts";
import { clocksOf, clockText } from "../../lib/schedules";
import type { FlowVersion } from "../Flow";
import { Next } from "./Runs";
import { ScheduleEditor } from "./ScheduleEditor";

const ON = graphql(`mutation ScheduleOn($id: UUID!) { set_schedule_active(input: { flow_id: $id }) { success error } }`);
const OFF = graphql(`mutation ScheduleOff($id: UUID!) { set_schedule_inactive(input: { flow_id: $id }) { success error } }`);

/** When it runs by itself: its clocks, on or off, and an editor that shows the next instants. */
export function Schedule({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const { may } = useSession();
  const [edits, setEdits] = useState(false);
  const ofGroup: unknown = flow.flow_group?.schedule ?? null;
  const given = ofGroup ?? flow.schedule;
  if (edits) {
    return (
      <Card title="Schedule of all versions">
        <ScheduleEditor groupId={flow.flow_group_id} ofGroup={ofGroup} ofFlow={flow.schedule} onDone={() => setEdits(false)} />
      </Card>
    );
  }
  const edit = may("update:flow") && !flow.archived && (
    <Button variant="default" onClick={() => setEdits(true)}>
      {given ? "Edit" : "Make a schedule"}
    </Button>
  );
  return (
    <div className="grid">
      <Card title="Schedule" span={8} more={given ? edit : null}>
        {given ? (
          <Clocks flow={flow} given={given} isOfGroup={ofGroup !== null} />
        ) : (
          <Empty title="This flow has no schedule.">
            <span>It runs when somebody asks. Give its code one, or make one here for all of its versions.</span>
            {edit}
          </Empty>
        )}
      </Card>
      <Card title="Next" span={4}>
        <Next slug={slug} flow={flow} />
      </Card>
    </div>
  );
}

function Clocks({ flow, given, isOfGroup }: { flow: FlowVersion; given: unknown; isOfGroup: boolean }) {
  const { may } = useSession();
  const [error, setError] = useState<string | null>(null);
  const turn = (on: boolean) =>
    void (on ? act(ON, { id: flow.id }) : act(OFF, { id: flow.id })).then(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
  return (
    <>
      <Switch
        label={flow.is_schedule_active ? "It is on" : "It is paused: no run is made"}
        checked={flow.is_schedule_active}
        disabled={!may(flow.is_schedule_active ? OFF : ON) || flow.archived}
        onChange={(event) => turn(event.currentTarget.checked)}
        mb="lg"
      />
      {error && <p className="note fails" role="alert">{error}</p>}
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Clock</th>
            <th scope="col">Zone</th>
            <th scope="col">Parameters</th>
            <th scope="col">Labels</th>
          </tr>
        </thead>
        <tbody>
          {(clocksOf(given) ?? []).map((clock, index) => (
            <tr key={index}>
              <td>
                {clockText(clock)} {clock.cron && <code className="quiet">{clock.cron}</code>}
              </td>
              <td>{clock.start_date?.tz ?? "UTC"}</td>
              <td className="mono">{nonEmpty(clock.parameter_defaults)}</td>
              <td>
                <Words words={clock.labels} none="the flow's" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="small quiet">
        {isOfGroup ? "Set here for all versions; it stands in place of the one in the flow's code." : "It comes from the flow's code. A schedule that is set here stands in its place."}
      </p>
    </>
  );
}

function nonEmpty(value: unknown): string {
  return value !== null && typeof value === "object" && Object.keys(value).length > 0 ? JSON.stringify(value) : "";
}
