import { Button, NumberInput, TextInput } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Card, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { State } from "../components/State";
import { Table } from "../components/Table";
import { nameOf } from "../lib/gantt";

const LIMITS = graphql(`
  query Limits {
    flow_concurrency_limit(order_by: [{ name: asc }], limit: 500) {
      id
      name
      limit
    }
    flow_concurrency(limit: 500) {
      label
      usage
      waiting
    }
    task_tag_limit(order_by: [{ tag: asc }], limit: 500) {
      id
      tag
      limit
    }
    task_concurrency(limit: 500) {
      name
      usage
      waiting
    }
  }
`);
const FLOW_RUNS = graphql(`
  query HoldersOfLabel($labels: jsonb!) {
    flow_run(
      where: { state: { _in: ["Submitted", "Running", "Cancelling"] }, labels: { _contains: $labels } }
      order_by: [{ start_time: asc }]
      limit: 50
    ) {
      id
      name
      state
      start_time
      flow {
        name
      }
    }
    waiting: flow_run(
      where: { state: { _in: ["Scheduled", "Queued"] }, labels: { _contains: $labels }, scheduled_start_time: { _lt: "now" } }
      order_by: [{ scheduled_start_time: asc }]
      limit: 50
    ) {
      id
      name
      state
      start_time: scheduled_start_time
      flow {
        name
      }
    }
  }
`);
const TASK_RUNS = graphql(`
  query HoldersOfTag($tags: jsonb!) {
    task_run(where: { state: { _eq: "Running" }, task: { tags: { _contains: $tags } } }, order_by: [{ start_time: asc }], limit: 50) {
      ...HolderOfTag
    }
    waiting: task_run(where: { state: { _eq: "Queued" }, task: { tags: { _contains: $tags } } }, order_by: [{ state_timestamp: asc }], limit: 50) {
      ...HolderOfTag
    }
  }
  fragment HolderOfTag on task_run {
    id
    name
    map_index
    state
    start_time
    task {
      name
      slug
      mapped
    }
    flow_run {
      name
    }
  }
`);
const SET_FLOW = graphql(`mutation SetFlowLimit($name: String!, $limit: Int!) { update_flow_concurrency_limit(input: { label: $name, limit: $limit }) { id } }`);
const SET_TASK = graphql(`mutation SetTaskLimit($name: String!, $limit: Int!) { update_task_tag_limit(input: { tag: $name, limit: $limit }) { id } }`);
const DELETE_FLOW = graphql(`mutation DeleteFlowLimit($id: UUID!) { delete_flow_concurrency_limit(input: { limit_id: $id }) { success error } }`);
const DELETE_TASK = graphql(`mutation DeleteTaskLimit($id: UUID!) { delete_task_tag_limit(input: { limit_id: $id }) { success error } }`);

type Limit = { id: string; name: string; limit: number; usage: number; waiting: number };
type What = "label" | "tag";

/** Who waits for whom? */
export function Limits() {
  const query = useLive(LIMITS, {});
  return (
    <Page title="Limits">
      <Loaded query={query}>
        {(data) => {
          const flows = new Map(data.flow_concurrency.map((each) => [each.label, each] as const));
          const tasks = new Map(data.task_concurrency.map((each) => [each.name, each] as const));
          return (
            <div className="grid">
              <Kind
                title="Flow runs by label"
                what="label"
                limits={data.flow_concurrency_limit.map((each) => ({
                  ...each, usage: flows.get(each.name)?.usage ?? 0, waiting: flows.get(each.name)?.waiting ?? 0,
                }))}
              />
              <Kind
                title="Task runs by tag"
                what="tag"
                limits={data.task_tag_limit.map((each) => ({
                  id: each.id, name: each.tag, limit: each.limit, usage: tasks.get(each.tag)?.usage ?? 0, waiting: tasks.get(each.tag)?.waiting ?? 0,
                }))}
              />
            </div>
          );
        }}
      </Loaded>
    </Page>
  );
}

const set = (what: What, name: string, limit: number) => (what === "label" ? act(SET_FLOW, { name, limit }) : act(SET_TASK, { name, limit }));
const remove = (what: What, id: string) => (what === "label" ? act(DELETE_FLOW, { id }) : act(DELETE_TASK, { id }));

function Kind({ title, what, limits }: { title: string; what: What; limits: readonly Limit[] }) {
  const { may } = useSession();
  return (
    <Card title={title}>
      {limits.length === 0 ? (
        <Empty title="There is no limit.">
          {what === "label" ? "As many flow runs with a label run at once as there are agents for." : "As many task runs with a tag run at once as flows start."}
        </Empty>
      ) : (
        <Table
          rows={limits}
          keyOf={(each) => each.id}
          columns={[
            { name: what === "label" ? "Label" : "Tag", width: "26%", cell: (each) => <b>{each.name}</b> },
            { name: "In use", width: "22%", cell: (each) => <Meter limit={each} /> },
            {
              name: "Who holds it and who waits",
              cell: (each) => (each.usage + each.waiting === 0 || !may("read:run", "read:flow") ? <span className="quiet">{each.usage + each.waiting === 0 ? "nobody" : "not shown to your role"}</span> : <Holders what={what} limit={each} />),
            },
            {
              name: "",
              as: "acts",
              cell: (each) =>
                may(what === "label" ? DELETE_FLOW : DELETE_TASK) && (
                  <Confirmed label="Delete" title={`Delete the limit of ${each.name}?`} danger run={() => remove(what, each.id)}>
                    <p>{each.waiting === 0 ? "Nobody waits for it now." : `${each.waiting} that wait for it can start at once.`}</p>
                  </Confirmed>
                ),
            },
          ]}
        />
      )}
      {may(what === "label" ? SET_FLOW : SET_TASK) && <NewLimit what={what} />}
    </Card>
  );
}

function Meter({ limit }: { limit: Limit }) {
  const isFull = limit.usage >= limit.limit;
  return (
    <>
      <span>
        {limit.usage} of {limit.limit}
        {isFull && <b> full</b>}
        {limit.waiting > 0 && <span className="quiet">, {limit.waiting.toLocaleString("en")} waiting</span>}
      </span>
      <span className={`meter${isFull ? " full" : ""}`} aria-hidden>
        <span style={{ width: `${limit.limit === 0 ? 100 : Math.min(100, (100 * limit.usage) / limit.limit)}%` }} />
      </span>
    </>
  );
}

function Holders({ what, limit }: { what: What; limit: Limit }) {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button size="compact-xs" variant="subtle" aria-expanded={opened} onClick={() => setOpened(!opened)}>
        {opened ? "Hide" : "Show"}
      </Button>
      {opened && (what === "label" ? <FlowRuns label={limit.name} /> : <TaskRuns tag={limit.name} />)}
    </>
  );
}

type Holder = { id: string; name: string; note: string; state: string; since: string | null };

function FlowRuns({ label }: { label: string }) {
  const query = useLive(FLOW_RUNS, { labels: [label] }, { isLive: () => true });
  const row = (run: { id: string; name: string; state: string; start_time: string | null; flow: { name: string } | null }): Holder => ({
    id: run.id, name: run.name, note: run.flow?.name ?? "", state: run.state, since: run.start_time,
  });
  return (
    <Loaded query={query} rows={2}>
      {(data) => <HolderRows kind="flow-run" holders={data.flow_run.map(row)} waiting={data.waiting.map(row)} />}
    </Loaded>
  );
}

function TaskRuns({ tag }: { tag: string }) {
  const query = useLive(TASK_RUNS, { tags: [tag] }, { isLive: () => true });
  const row = (run: Parameters<typeof nameOf>[0] & { id: string; state: string; start_time: string | null; flow_run: { name: string } | null }): Holder => ({
    id: run.id, name: nameOf(run), note: run.flow_run?.name ?? "", state: run.state, since: run.start_time,
  });
  return (
    <Loaded query={query} rows={2}>
      {(data) => <HolderRows kind="task-run" holders={data.task_run.map(row)} waiting={data.waiting.map(row)} />}
    </Loaded>
  );
}

function HolderRows({ kind, holders, waiting }: { kind: "flow-run" | "task-run"; holders: readonly Holder[]; waiting: readonly Holder[] }) {
  const { slug } = useParams({ from: "/$slug/limits" });
  const rows = [...holders.map((run) => ({ ...run, word: "holds" })), ...waiting.map((run) => ({ ...run, word: "waits" }))];
  return (
    <Table
      rows={rows}
      keyOf={(run) => run.id}
      columns={[
        { name: "", as: "quiet", cell: (run) => <span className="small">{run.word}</span> },
        {
          name: "Run",
          cell: (run) => (
            <>
              <Link to={kind === "flow-run" ? "/$slug/flow-run/$id" : "/$slug/task-run/$id"} params={{ slug, id: run.id }}>
                {run.name}
              </Link>{" "}
              <span className="quiet small">{run.note}</span>
            </>
          ),
        },
        { name: "State", cell: (run) => <State state={run.state} /> },
        { name: "Since", cell: (run) => <When at={run.since} /> },
      ]}
    />
  );
}

function NewLimit({ what }: { what: What }) {
  const [name, setName] = useState("");
  const [limit, setLimit] = useState<string | number>(1);
  const [error, setError] = useState<string | null>(null);
  const submit = async () => {
    try {
      await set(what, name.trim(), Number(limit));
      setName("");
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <form
      className="footer-form row"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <TextInput aria-label={what} placeholder={`A ${what}, new or known`} value={name} onChange={(event) => setName(event.currentTarget.value)} style={{ flex: "0 1 260px" }} />
      <NumberInput aria-label="At once" value={limit} onChange={setLimit} min={0} max={1_000_000} w={100} />
      <Button type="submit" disabled={name.trim() === ""}>
        Set the limit
      </Button>
      {error && <span className="note fails" role="alert">{error}</span>}
    </form>
  );
}
