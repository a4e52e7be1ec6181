import { Button, Select, Tabs, TextInput } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import type { TaskRunPageQuery } from "../api/generated/graphql";
import { act, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { useSession } from "../app/session";
import { Artifacts } from "../components/Artifacts";
import { Card, Copy, Empty, Loaded, Page, Took, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Fact, Facts, Words } from "../components/Facts";
import { History } from "../components/History";
import { Logs } from "../components/Logs";
import { Json } from "../components/Parameters";
import { WhyWaiting } from "../components/runs";
import { State } from "../components/State";
import { attemptsOf } from "../lib/attempts";
import { nameOf } from "../lib/gantt";
import { familyOf, isFinished } from "../lib/states";
import { TASK_RUN_TABS } from "../lib/tabs";
import { took } from "../lib/time";
import { Attempts } from "./task_run/Attempts";
import { Inputs } from "./task_run/Inputs";
import { Siblings } from "./task_run/Siblings";

const TASK_RUN = graphql(`
  query TaskRunPage($id: uuid!) {
    task_run_by_pk(id: $id) {
      id
      name
      map_index
      version
      state
      state_message
      state_timestamp
      state_result
      start_time
      end_time
      created
      cache_key
      waiting_reason
      flow_run {
        id
        name
        flow_group_id
        flow {
          name
        }
      }
      task {
        id
        name
        slug
        mapped
        type
        tags
        max_retries
        trigger
        upstream_edges(limit: 100) {
          id
          key
          mapped
          upstream_task {
            id
            name
            slug
          }
        }
        downstream_edges(limit: 100) {
          id
          key
          mapped
          downstream_task {
            id
            name
            slug
          }
        }
      }
      states(order_by: [{ version: desc }], limit: 200) {
        id
        state
        message
        timestamp
        version
      }
    }
  }
`);
const NEIGHBOURS = graphql(`
  query NextSiblings($flow_run: uuid!, $task: uuid!, $indexes: [Int!]!) {
    task_run(where: { flow_run_id: { _eq: $flow_run }, task_id: { _eq: $task }, map_index: { _in: $indexes } }, limit: 3) {
      id
      map_index
    }
  }
`);
const SET = graphql(`
  mutation SetTaskRunState($states: [set_task_run_state_input!]!) {
    set_task_run_states(input: { states: $states }) {
      states {
        id
        status
        message
      }
    }
  }
`);
const TITLES: Record<(typeof TASK_RUN_TABS)[number], string> = {
  logs: "Logs", children: "Mapped children", attempts: "Tries", inputs: "Inputs", artifacts: "Artifacts", history: "History", result: "Result",
};

type Run = NonNullable<TaskRunPageQuery["task_run_by_pk"]>;

/** What did this one do? */
export function TaskRun() {
  const { slug, id } = useParams({ from: "/$slug/task-run/$id" });
  const query = useLive(TASK_RUN, { id }, { isLive: (data) => !isFinished(data.task_run_by_pk?.state ?? "Success") });
  return (
    <Loaded query={query} rows={12}>
      {({ task_run_by_pk: run }) =>
        run ? (
          <Shown key={run.id} slug={slug} run={run} />
        ) : (
          <Page title="Task run not found">
            <Empty title="There is no such task run here.">It may have been deleted, or be another tenant's.</Empty>
          </Page>
        )
      }
    </Loaded>
  );
}

function Shown({ slug, run }: { slug: string; run: Run }) {
  return (
    <Page
      title={nameOf(run)}
      crumbs={
        run.flow_run && (
          <>
            <Link to="/$slug/flow/$id" params={{ slug, id: run.flow_run.flow_group_id }}>
              {run.flow_run.flow?.name}
            </Link>
            <Link to="/$slug/flow-run/$id" params={{ slug, id: run.flow_run.id }}>
              {run.flow_run.name}
            </Link>
          </>
        )
      }
      actions={<Actions slug={slug} run={run} />}
    >
      <div className="grid">
        <section className="card span8" aria-label="State">
          <div className="row" style={{ marginBottom: 8 }} role="status">
            <State state={run.state} />
            <span className="quiet small">
              <When at={run.state_timestamp} both />
            </span>
          </div>
          {run.state_message && (
            <div className="message wrap" tabIndex={0} style={{ borderLeftColor: `var(--${familyOf(run.state)})`, maxHeight: 240, overflow: "auto" }}>
              {run.state_message.slice(0, 10_000)}
            </div>
          )}
          {run.waiting_reason && (
            <p className="note warns">
              <WhyWaiting slug={slug} reason={run.waiting_reason} />
            </p>
          )}
        </section>
        <Card span={4}>
          <About slug={slug} run={run} />
        </Card>
      </div>
      <Parts slug={slug} run={run} />
    </Page>
  );
}

function About({ slug, run }: { slug: string; run: Run }) {
  const { now } = usePreferences();
  const tries = attemptsOf(run.states).length;
  return (
    <Facts>
      <Fact name="Task">
        {run.task && (
          <Link to="/$slug/task/$id" params={{ slug, id: run.task.id }}>
            {run.task.name ?? run.task.slug}: all of its runs
          </Link>
        )}
      </Fact>
      <Fact name="Started">
        <When at={run.start_time} both />
      </Fact>
      <Fact name="Took">
        <Took ms={took(run.start_time, isFinished(run.state) ? run.end_time : null, now)} />
      </Fact>
      <Fact name="Tries">
        {tries} <span className="quiet">of {(run.task?.max_retries ?? 0) + 1} at most</span>
      </Fact>
      <Fact name="Starts when">{run.task?.trigger?.split(".").pop()?.replaceAll("_", " ")}</Fact>
      <Fact name="Tags">
        <Words words={run.task?.tags} />
      </Fact>
      {run.cache_key && (
        <Fact name="Cache key">
          <span className="mono">{run.cache_key}</span>
        </Fact>
      )}
    </Facts>
  );
}

function Parts({ slug, run }: { slug: string; run: Run }) {
  const { tab, logId } = useSearch({ from: "/$slug/task-run/$id" });
  const navigate = useNavigate({ from: "/$slug/task-run/$id" });
  const isMapped = run.map_index >= 0 || run.state === "Mapped" || run.task?.mapped === true;
  const tabs = TASK_RUN_TABS.filter((each) => each !== "children" || isMapped);
  const shown = tabs.find((each) => each === tab) ?? (run.state === "Mapped" ? "children" : "logs");
  return (
    <Tabs value={shown} onChange={(to) => to && void navigate({ search: { tab: to }, replace: true })} keepMounted={false} mt="lg">
      <Tabs.List>
        {tabs.map((each) => (
          <Tabs.Tab key={each} value={each}>
            {each === "children" && run.map_index >= 0 ? "Siblings" : TITLES[each]}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      <Tabs.Panel value={shown} pt="md">
        {shown === "inputs" && run.task ? (
          <Inputs slug={slug} run={run} task={run.task} />
        ) : (
          <div className="card">
            {shown === "logs" && <Logs of={{ task_run_id: run.id }} flowRunId={run.flow_run?.id} isLive={!isFinished(run.state)} marked={logId} />}
            {shown === "children" && run.flow_run && run.task && <Siblings slug={slug} flowRunId={run.flow_run.id} taskId={run.task.id} shown={run.id} />}
            {shown === "attempts" && <Attempts states={run.states} most={run.task?.max_retries ?? 0} />}
            {shown === "artifacts" && <Artifacts slug={slug} where={{ task_run_id: { _eq: run.id } }} />}
            {shown === "history" && <History states={run.states} />}
            {shown === "result" && <Json value={run.state_result} label="result" />}
          </div>
        )}
      </Tabs.Panel>
    </Tabs>
  );
}

function Actions({ slug, run }: { slug: string; run: Run }) {
  const { may } = useSession();
  const approve = () =>
    act(SET, { states: [{ task_run_id: run.id, version: run.version, state: { type: "Resume", message: "Approved in the dashboard." } }] }).then(refused);
  return (
    <>
      {run.map_index >= 0 && run.flow_run && run.task && <Steps slug={slug} flowRunId={run.flow_run.id} taskId={run.task.id} index={run.map_index} />}
      <Copy text={run.id} label="Copy id" />
      {may(SET) && run.state === "Paused" && (
        <Confirmed label="Approve" title={`Let ${nameOf(run)} go on?`} run={approve}>
          <p>It goes on when its run is next looked at by an agent.</p>
        </Confirmed>
      )}
      {may(SET) && <SetState run={run} />}
    </>
  );
}

/** To the mapped child before and after this one. */
function Steps({ slug, flowRunId, taskId, index }: { slug: string; flowRunId: string; taskId: string; index: number }) {
  const { data } = useLive(NEIGHBOURS, { flow_run: flowRunId, task: taskId, indexes: [index - 1, index + 1] });
  const step = (to: number, text: string) => {
    const found = data?.task_run.find((each) => each.map_index === to);
    return found ? (
      <Button variant="default" component={Link} to="/$slug/task-run/$id" params={{ slug, id: found.id } as never}>
        {text}
      </Button>
    ) : null;
  };
  return (
    <>
      {index > 0 && step(index - 1, `‹ [${index - 1}]`)}
      {step(index + 1, `[${index + 1}] ›`)}
    </>
  );
}

const STATES = ["Success", "Failed", "Skipped", "Cancelled", "Pending"];

function SetState({ run }: { run: Run }) {
  const [state, setState] = useState("Success");
  const [message, setMessage] = useState("");
  const set = () =>
    act(SET, {
      states: [{ task_run_id: run.id, version: run.version, state: { type: state, message: message.trim() || "Set in the dashboard." } }],
    }).then(refused);
  return (
    <Confirmed label="Set state" title={`Set the state of ${nameOf(run)}`} run={set}>
      <div className="form">
        <Select label="State" data={STATES} value={state} allowDeselect={false} onChange={(chosen) => chosen && setState(chosen)} />
        <TextInput label="Why" placeholder="Set in the dashboard." value={message} onChange={(event) => setMessage(event.currentTarget.value)} />
        <span className="quiet">Tasks after it see this state when their run goes on. A process that works on it now is not stopped.</span>
      </div>
    </Confirmed>
  );
}

function refused(data: { set_task_run_states: { states: { status: string; message: string | null }[] } | null }) {
  const [first] = data.set_task_run_states?.states ?? [];
  if (first && !["SUCCESS", "QUEUED"].includes(first.status)) throw new Error(first.message ?? first.status);
}
