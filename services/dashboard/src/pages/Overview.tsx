import { Link, useNavigate, useParams } from "@tanstack/react-router";

import { BASE } from "../api/client";
import { graphql } from "../api/generated";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Histogram } from "../components/Histogram";
import { windowOf } from "../lib/histogram";
import { Card, Command, Empty, Loaded, Page, Took, When } from "../components/basics";
import { WhyLate } from "../components/runs";
import { Shape, State } from "../components/State";
import { LATE_AFTER, type Family } from "../lib/states";
import { took } from "../lib/time";

const OVERVIEW = graphql(`
  query Overview($failed: [String!]!, $since: timestamptz!, $late: timestamptz!) {
    failed: flow_run(
      where: { state: { _in: $failed }, end_time: { _gte: $since } }
      order_by: [{ end_time: desc }]
      limit: 8
    ) {
      ...Row
    }
    late: flow_run(
      where: { state: { _eq: "Scheduled" }, scheduled_start_time: { _lt: $late } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 8
    ) {
      ...Row
      late_reason
      labels
    }
    running: flow_run(where: { state: { _eq: "Running" } }, order_by: [{ start_time: desc }], limit: 8) {
      ...Row
    }
    next: flow_run(
      where: { state: { _eq: "Scheduled" }, scheduled_start_time: { _gte: $late } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 8
    ) {
      ...Row
    }
    agent(order_by: [{ last_queried: desc_nulls_last }], limit: 50) {
      id
      last_queried
    }
    flow(where: { archived: { _eq: false } }, limit: 1) {
      id
    }
  }
  fragment Row on flow_run {
    id
    name
    state
    state_message
    state_timestamp
    scheduled_start_time
    start_time
    end_time
    flow {
      name
    }
  }
`);
const FAILED = ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "ClientFailed"];
const LIVE_AGENT = 60_000;
const ALL = {};

/** Is all well? What failed, what is late, what runs, what comes. */
export function Overview() {
  const { slug } = useParams({ from: "/$slug/" });
  const { now } = usePreferences();
  // A minute is exact enough, and keeps the question the same for the cache.
  const minute = Math.floor(now / 60_000) * 60_000;
  const query = useLive(
    OVERVIEW,
    {
      failed: FAILED,
      since: new Date(minute - 24 * 3_600_000).toISOString(),
      late: new Date(minute - LATE_AFTER * 1000).toISOString(),
    },
    { isLive: (data) => data.running.length > 0 || data.late.length > 0, keep: true },
  );
  return (
    <Page title="Overview">
      <Loaded query={query} rows={12}>
        {(data) => {
          if (data.flow.length === 0) return <FirstSteps />;
          const live = data.agent.filter((each) => each.last_queried && now - Date.parse(each.last_queried) < LIVE_AGENT);
          return (
            <div className="grid">
              {live.length === 0 && <NoAgent />}
              <Figure slug={slug} name="Failed in 24 hours" family="failed" rows={data.failed} is={{ is: ["failed"], hours: 24 }} />
              <Figure slug={slug} name="Late" family="waiting" rows={data.late} is={{ is: ["late"] }} />
              <Figure slug={slug} name="Running" family="running" rows={data.running} is={{ is: ["running"] }} />
              <div className="card span3">
                <Link to="/$slug/agents" params={{ slug }} className="stat">
                  <span className="row quiet">
                    <Shape family={live.length > 0 ? "success" : "failed"} /> Live agents
                  </span>
                  <b>{live.length}</b>
                </Link>
              </div>
              <Card title="Last 24 hours" span={12}>
                <Day slug={slug} />
              </Card>
              <Card title="Failed" span={6}>
                <Rows slug={slug} rows={data.failed} none="Nothing failed in the last 24 hours." />
              </Card>
              <Card title="Late" span={6}>
                <Rows slug={slug} rows={data.late} none="Every run that is due has been taken." />
              </Card>
              <Card title="Running now" span={6}>
                <Rows slug={slug} rows={data.running} none="Nothing runs at this moment." />
              </Card>
              <Card title="Coming next" span={6}>
                <Rows slug={slug} rows={data.next} none="Nothing is scheduled." />
              </Card>
            </div>
          );
        }}
      </Loaded>
    </Page>
  );
}

/** The first thing to know when nothing runs. */
function NoAgent() {
  return (
    <div className="note fails row span12" role="status">
      <b>No agent asks for work: nothing can run.</b> Start one: <Command text="prefect agent local start" />
    </div>
  );
}

/** Every run of the last day by the hour in which it was due; a bar opens the list of its hour. */
function Day({ slug }: { slug: string }) {
  const { now } = usePreferences();
  const navigate = useNavigate();
  return (
    <Histogram
      window={windowOf({}, now)}
      where={ALL}
      choose={(from, to) =>
        void navigate({
          to: "/$slug/runs",
          params: { slug },
          search: { from: new Date(from).toISOString(), to: new Date(to).toISOString() },
        })
      }
    />
  );
}

function FirstSteps() {
  const here = `${location.origin}${BASE}`.replace(/\/$/, "");
  return (
    <div className="card">
      <Empty title="There are no flows yet.">
        <span>Point a Prefect client (0.15 or 1.x) at this server, with your key; where keys are off any text is one:</span>
        <Command text={`export PREFECT__BACKEND=cloud PREFECT__CLOUD__API=${here} PREFECT__CLOUD__API_KEY=hw_...`} />
        <span>Let the links that it prints lead here:</span>
        <Command text={`export PREFECT__SERVER__UI__ENDPOINT=${here}`} />
        <span>Register a flow:</span>
        <Command text="prefect create project first" />
        <Command text="prefect register --project first --path flow.py" />
        <span>Then start an agent that runs it:</span>
        <Command text="prefect agent local start" />
      </Empty>
    </div>
  );
}

type Row = {
  id: string;
  name: string;
  state: string;
  state_message: string | null;
  state_timestamp: string;
  scheduled_start_time: string;
  start_time: string | null;
  end_time: string | null;
  late_reason?: string | null;
  labels?: unknown;
  flow: { name: string } | null;
};

function Figure({
  slug,
  name,
  family,
  rows,
  is,
}: {
  slug: string;
  name: string;
  family: Family;
  rows: readonly Row[];
  is: { is: (Family | "late")[]; hours?: number };
}) {
  return (
    <div className="card span3">
      <Link to="/$slug/runs" params={{ slug }} search={is} className="stat">
        <span className="row quiet">
          <Shape family={family} /> {name}
        </span>
        <b>{rows.length >= 8 ? "8 or more" : rows.length}</b>
      </Link>
    </div>
  );
}

function Rows({ slug, rows, none }: { slug: string; rows: readonly Row[]; none: string }) {
  const { now } = usePreferences();
  if (rows.length === 0) return <p className="quiet">{none}</p>;
  return (
    <div className="scroll">
      <table className="table">
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>
                <Link to="/$slug/flow-run/$id" params={{ slug, id: row.id }} className="clamp">
                  {row.flow?.name} <span className="quiet">· {row.name}</span>
                </Link>
                {row.late_reason && (
                  <div className="small">
                    <WhyLate slug={slug} reason={row.late_reason} labels={row.labels} />
                  </div>
                )}
                {!row.late_reason && row.state_message && row.state !== "Scheduled" && (
                  <div className="small quiet cut" style={{ maxWidth: 420 }}>
                    {row.state_message}
                  </div>
                )}
              </td>
              <td>
                <State state={row.state} scheduled={row.scheduled_start_time} now={now} />
              </td>
              <td className="num">
                {row.state === "Scheduled" ? (
                  <When at={row.scheduled_start_time} />
                ) : row.state === "Running" ? (
                  <Took ms={took(row.start_time, null, now)} />
                ) : (
                  <When at={row.state_timestamp} />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
