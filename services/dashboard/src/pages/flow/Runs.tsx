import { Link, useNavigate } from "@tanstack/react-router";

import { graphql } from "../../api/generated";
import type { RunOfFlowFragment } from "../../api/generated/graphql";
import { useLive } from "../../app/live";
import { usePreferences } from "../../app/preferences";
import { Card, Command, Empty, Loaded, Took, When } from "../../components/basics";
import { InNumbers } from "../../components/Facts";
import { LazyTrend } from "../../components/lazy";
import { State } from "../../components/State";
import { isFinished } from "../../lib/states";
import { took } from "../../lib/time";
import type { FlowVersion } from "../Flow";

const RUNS = graphql(`
  query RunsOfFlow($flows: [uuid!]!) {
    flow_run(
      where: { flow_id: { _in: $flows }, state: { _neq: "Scheduled" } }
      order_by: [{ scheduled_start_time: desc }]
      limit: 200
    ) {
      ...RunOfFlow
    }
  }
`);
const NEXT = graphql(`
  query NextOfFlow($flows: [uuid!]!) {
    flow_run(
      where: { flow_id: { _in: $flows }, state: { _eq: "Scheduled" } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 10
    ) {
      ...RunOfFlow
    }
  }
  fragment RunOfFlow on flow_run {
    id
    name
    state
    state_message
    scheduled_start_time
    start_time
    end_time
  }
`);

type Row = RunOfFlowFragment;

/** All versions of a flow, by whose ids its runs are found fast. */
export function versionIds(flow: FlowVersion): string[] {
  const ids = flow.flow_group?.flows.map((each) => each.id) ?? [];
  return ids.includes(flow.id) ? ids : [flow.id, ...ids];
}

/** What it did lately: durations, counts, the last runs, and what comes next. */
export function Runs({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const query = useLive(
    RUNS,
    { flows: versionIds(flow) },
    { isLive: (data) => data.flow_run.some((run) => !isFinished(run.state)) },
  );
  return (
    <div className="grid">
      <Card title="How long runs took" span={8}>
        <Loaded query={query} rows={7}>
          {(data) => <Durations slug={slug} runs={data.flow_run} />}
        </Loaded>
      </Card>
      <Card
        title="Next"
        span={4}
        more={
          <Link to="/$slug/flow/$id" params={{ slug, id: flow.flow_group_id }} search={{ tab: "schedule" }}>
            Schedule
          </Link>
        }
      >
        <Next slug={slug} flow={flow} />
      </Card>
      <Card title="Last runs" more={<Link to="/$slug/runs" params={{ slug }} search={{ flow: flow.flow_group_id }}>All runs</Link>}>
        <Loaded query={query} rows={8}>
          {(data) => <RunRows slug={slug} runs={data.flow_run.slice(0, 50)} />}
        </Loaded>
      </Card>
    </div>
  );
}

function Durations({ slug, runs }: { slug: string; runs: readonly Row[] }) {
  const { now } = usePreferences();
  const navigate = useNavigate();
  const started = runs.filter((run) => run.start_time);
  if (started.length === 0) return <Empty title="No run has started yet.">Each run is drawn here: when it began and how long it took.</Empty>;
  return (
    <>
      <InNumbers runs={started} what="runs" />
      <LazyTrend
        points={started.map((run) => ({
          id: run.id,
          name: run.name,
          state: run.state,
          at: Date.parse(run.start_time ?? ""),
          took: took(run.start_time, isFinished(run.state) ? run.end_time : null, now) ?? 0,
        }))}
        onOpen={(id) => void navigate({ to: "/$slug/flow-run/$id", params: { slug, id } })}
      />
    </>
  );
}

/** The runs that are scheduled, soonest first. */
export function Next({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const { now } = usePreferences();
  const query = useLive(NEXT, { flows: versionIds(flow) });
  return (
    <Loaded query={query} rows={5}>
      {(data) => {
        const runs = data.flow_run;
        if (runs.length === 0) return <p className="quiet small">Nothing is scheduled.</p>;
        return (
          <table className="table">
            <tbody>
              {runs.map((run) => (
                <tr key={run.id}>
                  <td>
                    <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }}>
                      <When at={run.scheduled_start_time} both />
                    </Link>
                  </td>
                  <td className="acts">{Date.parse(run.scheduled_start_time) < now - 20_000 && <State state={run.state} scheduled={run.scheduled_start_time} now={now} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        );
      }}
    </Loaded>
  );
}

function RunRows({ slug, runs }: { slug: string; runs: readonly Row[] }) {
  const { now } = usePreferences();
  if (runs.length === 0) {
    return (
      <Empty title="It has not run yet.">
        <span>Press Run above, or start an agent that takes its scheduled runs:</span>
        <Command text="prefect agent local start" />
      </Empty>
    );
  }
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">State</th>
            <th scope="col">Started</th>
            <th scope="col" className="num">Took</th>
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td>
                <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }}>
                  {run.name}
                </Link>
              </td>
              <td>
                <State state={run.state} scheduled={run.scheduled_start_time} now={now} />
              </td>
              <td>
                <When at={run.start_time ?? run.scheduled_start_time} />
              </td>
              <td className="num">
                <Took ms={took(run.start_time, isFinished(run.state) ? run.end_time : null, now)} />
              </td>
              <td className="small quiet message-cell">
                <span className="cut">{run.state_message}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
