import { Link, useNavigate } from "@tanstack/react-router";

import { graphql } from "../../api/generated";
import type { TrendOfFlowQuery } from "../../api/generated/graphql";
import { useLive } from "../../app/live";
import { usePreferences } from "../../app/preferences";
import { Card, Command, Empty, Loaded, When } from "../../components/basics";
import { InNumbers } from "../../components/Facts";
import { LazyTrend } from "../../components/lazy";
import { PagedRuns } from "../../components/RunTable";
import { State } from "../../components/State";
import { afterInTime } from "../../lib/pages";
import { isFinished } from "../../lib/states";
import { took } from "../../lib/time";
import type { FlowVersion } from "../Flow";

const TREND = graphql(`
  query TrendOfFlow($flows: [uuid!]!) {
    flow_run(
      where: { flow_id: { _in: $flows }, state: { _neq: "Scheduled" } }
      order_by: [{ scheduled_start_time: desc }]
      limit: 200
    ) {
      id
      name
      state
      start_time
      end_time
    }
  }
`);
const RUNS = graphql(`
  query RunsOfFlow($where: flow_run_bool_exp!, $limit: Int!) {
    runs: flow_run(where: $where, order_by: [{ scheduled_start_time: desc }, { id: desc }], limit: $limit) {
      id
      name
      state
      state_message
      scheduled_start_time
      start_time
      end_time
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
      id
      state
      scheduled_start_time
    }
  }
`);

type Row = TrendOfFlowQuery["flow_run"][number];

/** All versions of a flow, by whose ids its runs are found fast. */
export function versionIds(flow: FlowVersion): string[] {
  const ids = flow.flow_group?.flows.map((each) => each.id) ?? [];
  return ids.includes(flow.id) ? ids : [flow.id, ...ids];
}

/** What it did lately: durations, counts, the last runs, and what comes next. */
export function Runs({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const query = useLive(
    TREND,
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
        <LastRuns slug={slug} flow={flow} />
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

/** What ran, the newest first, as far as one reads. */
function LastRuns({ slug, flow }: { slug: string; flow: FlowVersion }) {
  return (
    <PagedRuns
      slug={slug}
      of={RUNS}
      where={{ flow_id: { _in: versionIds(flow) }, state: { _neq: "Scheduled" } }}
      after={(last) => afterInTime("scheduled_start_time", last)}
      about={versionIds(flow)}
      named={[
        {
          name: "Run",
          cell: (run) => (
            <Link to="/$slug/flow-run/$id" params={{ slug, id: run.id }}>
              {run.name}
            </Link>
          ),
        },
      ]}
      empty={
        <Empty title="It has not run yet.">
          <span>Press Run above, or start an agent that takes its scheduled runs:</span>
          <Command text="prefect agent local start" />
        </Empty>
      }
    />
  );
}
