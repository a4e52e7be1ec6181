import { SegmentedControl } from "@mantine/core";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import type { Task_Run_Bool_Exp, TaskPageQuery, TrendOfTaskQuery } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Card, Copy, Empty, Loaded, Page } from "../components/basics";
import { Fact, Facts, InNumbers, Words } from "../components/Facts";
import { LazyTrend } from "../components/lazy";
import { PagedRuns } from "../components/RunTable";
import { nameOf } from "../lib/gantt";
import { afterInTime } from "../lib/pages";
import { isFinished } from "../lib/states";
import { took } from "../lib/time";

const TASK = graphql(`
  query TaskPage($id: uuid!) {
    task_by_pk(id: $id) {
      id
      name
      slug
      description
      type
      mapped
      max_retries
      retry_delay
      trigger
      tags
      cache_key
      flow {
        id
        name
        version
        flow_group_id
        project {
          id
          name
        }
      }
      upstream_edges(limit: 100) {
        id
        upstream_task {
          id
          name
          slug
        }
      }
      downstream_edges(limit: 100) {
        id
        downstream_task {
          id
          name
          slug
        }
      }
    }
  }
`);
const VERSIONS = graphql(`
  query VersionsOfTask($slug: String!, $group: uuid!) {
    task(where: { slug: { _eq: $slug }, flow: { flow_group_id: { _eq: $group } } }, order_by: [{ created: desc }], limit: 50) {
      id
      flow {
        version
      }
    }
  }
`);
const TREND = graphql(`
  query TrendOfTask($where: task_run_bool_exp!) {
    task_run(where: $where, order_by: [{ state_timestamp: desc }], limit: 300) {
      id
      name
      map_index
      state
      start_time
      end_time
      task {
        name
        slug
        mapped
      }
      flow_run {
        name
      }
    }
  }
`);
const RUNS = graphql(`
  query RunsOfTask($where: task_run_bool_exp!, $limit: Int!) {
    runs: task_run(where: $where, order_by: [{ state_timestamp: desc }, { id: desc }], limit: $limit) {
      id
      name
      map_index
      state
      state_message
      state_timestamp
      start_time
      end_time
      task_id
      task {
        name
        slug
        mapped
      }
      flow_run {
        id
        name
      }
    }
  }
`);

type Task = NonNullable<TaskPageQuery["task_by_pk"]>;
type Run = TrendOfTaskQuery["task_run"][number];

/** Always this task? One task over all runs and versions of its flow. */
export function Task() {
  const { slug, id } = useParams({ from: "/$slug/task/$id" });
  const query = useLive(TASK, { id });
  return (
    <Loaded query={query} rows={12}>
      {({ task_by_pk: task }) =>
        task?.flow ? (
          <Shown slug={slug} task={task} flow={task.flow} />
        ) : (
          <Page title="Task not found">
            <Empty title="There is no such task here.">Its flow may have been deleted, or be another tenant's.</Empty>
          </Page>
        )
      }
    </Loaded>
  );
}

function Shown({ slug, task, flow }: { slug: string; task: Task; flow: NonNullable<Task["flow"]> }) {
  const [children, setChildren] = useState(task.mapped ? "children" : "whole");
  const versions = useLive(VERSIONS, { slug: task.slug, group: flow.flow_group_id });
  const ids = versions.data?.task.map((each) => each.id) ?? [task.id];
  const where = {
    task_id: { _in: ids }, map_index: children === "children" ? { _gte: 0 } : { _eq: -1 }, start_time: { _is_null: false },
  };
  const runs = useLive(
    TREND,
    { where },
    { enabled: versions.data !== undefined, keep: true, isLive: (data) => data.task_run.some((run) => !isFinished(run.state)) },
  );
  const versionOf = new Map(versions.data?.task.map((each) => [each.id, each.flow?.version] as const));
  return (
    <Page
      title={task.name ?? task.slug}
      crumbs={
        <>
          <Link to="/$slug/flow/$id" params={{ slug, id: flow.flow_group_id }} search={{ tab: "tasks" }}>
            {flow.name}
          </Link>
          <span className="quiet">task of version {flow.version}</span>
        </>
      }
      actions={<Copy text={task.id} label="Copy id" />}
    >
      <div className="grid">
        <Card
          title="How long it took"
          span={8}
          more={
            task.mapped && (
              <SegmentedControl
                size="xs"
                aria-label="What a run is"
                value={children}
                onChange={setChildren}
                data={[{ value: "children", label: "Mapped children" }, { value: "whole", label: "Whole maps" }]}
              />
            )
          }
        >
          <Loaded query={runs} rows={6}>
            {({ task_run: found }) => <Durations slug={slug} runs={found} />}
          </Loaded>
        </Card>
        <Card title="The task" span={4}>
          <About slug={slug} task={task} versions={versions.data?.task.length} />
        </Card>
        <Card title="Last runs">
          <Loaded query={versions} rows={8}>
            {() => <LastRuns slug={slug} flowGroup={flow.flow_group_id} where={where} versionOf={versionOf} />}
          </Loaded>
        </Card>
      </div>
    </Page>
  );
}

function Durations({ slug, runs }: { slug: string; runs: readonly Run[] }) {
  const navigate = useNavigate();
  const { now } = usePreferences();
  if (runs.length === 0) return <Empty title="It has not run yet.">Its runs are drawn here as they end.</Empty>;
  return (
    <>
      <InNumbers runs={runs} what="runs" />
      <LazyTrend
        points={runs.map((run) => ({
          id: run.id,
          name: `${run.flow_run?.name ?? ""} ${nameOf(run)}`,
          state: run.state,
          at: Date.parse(run.start_time ?? ""),
          took: took(run.start_time, isFinished(run.state) ? run.end_time : null, now) ?? 0,
        }))}
        onOpen={(id) => void navigate({ to: "/$slug/task-run/$id", params: { slug, id } })}
      />
    </>
  );
}

function About({ slug, task, versions }: { slug: string; task: Task; versions: number | undefined }) {
  return (
    <Facts>
      <Fact name="Kind">{task.type?.split(".").pop()}</Fact>
      <Fact name="Mapped">{task.mapped ? "yes: one run for each item" : "no"}</Fact>
      <Fact name="Retries">{task.max_retries === 0 ? "none" : `${task.max_retries} at most`}</Fact>
      <Fact name="Starts when">{task.trigger?.split(".").pop()?.replaceAll("_", " ")}</Fact>
      <Fact name="Tags">
        <Words words={task.tags} />
      </Fact>
      <Fact name="After">
        <Neighbours slug={slug} tasks={task.upstream_edges.map((edge) => edge.upstream_task)} none="nothing: it is the first" />
      </Fact>
      <Fact name="Before">
        <Neighbours slug={slug} tasks={task.downstream_edges.map((edge) => edge.downstream_task)} none="nothing: it is the last" />
      </Fact>
      <Fact name="In versions">{versions}</Fact>
      <Fact name="Slug">
        <span className="mono">{task.slug}</span>
      </Fact>
    </Facts>
  );
}

type Neighbour = { id: string; name: string | null; slug: string } | null;

/** Tasks before or after this one, each once, as links. */
export function Neighbours({ slug, tasks, none }: { slug: string; tasks: readonly Neighbour[]; none: string }) {
  const found = new Map(tasks.flatMap((task) => (task ? [[task.id, task] as const] : [])));
  if (found.size === 0) return <span className="quiet">{none}</span>;
  return (
    <span className="row" style={{ gap: "2px 12px" }}>
      {[...found.values()].map((task) => (
        <Link key={task.id} to="/$slug/task/$id" params={{ slug, id: task.id }}>
          {task.name ?? task.slug}
        </Link>
      ))}
    </span>
  );
}

type Versions = ReadonlyMap<string, number | undefined>;

/** Its runs of all flow runs, the one that changed last first, as far as one reads. */
function LastRuns({ slug, flowGroup, where, versionOf }: { slug: string; flowGroup: string; where: Task_Run_Bool_Exp; versionOf: Versions }) {
  return (
    <PagedRuns
      slug={slug}
      of={RUNS}
      where={where}
      after={(last) => afterInTime("state_timestamp", last)}
      about={[flowGroup]}
      named={[
        {
          name: "Task run",
          cell: (run) => (
            <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
              {nameOf(run)}
            </Link>
          ),
        },
        {
          name: "Flow run",
          cell: (run) =>
            run.flow_run && (
              <Link to="/$slug/flow-run/$id" params={{ slug, id: run.flow_run.id }}>
                {run.flow_run.name}
              </Link>
            ),
        },
      ]}
      more={[{ name: "Version", as: "num", cell: (run) => versionOf.get(run.task_id) }]}
      empty={<Empty title="It has not run yet." />}
    />
  );
}
