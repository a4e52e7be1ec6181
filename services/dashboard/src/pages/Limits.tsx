import { Button, NumberInput, Progress, TextInput } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Card, Confirmed, Empty, Loaded, Page } from "../components/basics";

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
const SET_FLOW = graphql(`mutation SetFlowLimit($name: String!, $limit: Int!) { update_flow_concurrency_limit(input: { label: $name, limit: $limit }) { id } }`);
const SET_TASK = graphql(`mutation SetTaskLimit($name: String!, $limit: Int!) { update_task_tag_limit(input: { tag: $name, limit: $limit }) { id } }`);
const DELETE_FLOW = graphql(`mutation DeleteFlowLimit($id: UUID!) { delete_flow_concurrency_limit(input: { limit_id: $id }) { success error } }`);
const DELETE_TASK = graphql(`mutation DeleteTaskLimit($id: UUID!) { delete_task_tag_limit(input: { limit_id: $id }) { success error } }`);

type Limit = { id: string; name: string; limit: number; usage: number; waiting: number };

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
                set={(name, limit) => act(SET_FLOW, { name, limit })}
                remove={(id) => act(DELETE_FLOW, { id })}
                limits={data.flow_concurrency_limit.map((each) => ({
                  ...each, usage: flows.get(each.name)?.usage ?? 0, waiting: flows.get(each.name)?.waiting ?? 0,
                }))}
              />
              <Kind
                title="Task runs by tag"
                what="tag"
                set={(name, limit) => act(SET_TASK, { name, limit })}
                remove={(id) => act(DELETE_TASK, { id })}
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

function Kind({
  title,
  what,
  limits,
  set,
  remove,
}: {
  title: string;
  what: string;
  limits: Limit[];
  set: (name: string, limit: number) => Promise<unknown>;
  remove: (id: string) => Promise<unknown>;
}) {
  const { mayWrite } = useSession();
  const [name, setName] = useState("");
  const [limit, setLimit] = useState<string | number>(1);
  const [error, setError] = useState<string | null>(null);
  const submit = async () => {
    try {
      await set(name.trim(), Number(limit));
      setName("");
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <Card title={title} span={6}>
      {limits.length === 0 ? (
        <Empty title="There is no limit.">As many run at once as there are agents for.</Empty>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{what}</th>
              <th scope="col">In use</th>
              <th scope="col" className="num">Waiting</th>
              <th scope="col" />
            </tr>
          </thead>
          <tbody>
            {limits.map((each) => (
              <tr key={each.id}>
                <td>{each.name}</td>
                <td>
                  {each.usage} of {each.limit}
                  <Progress aria-label={`${each.usage} of ${each.limit} in use`} value={each.limit ? (100 * each.usage) / each.limit : 100} size="xs" />
                </td>
                <td className="num">{each.waiting}</td>
                <td>
                  {mayWrite && (
                    <Confirmed label="Delete" title={`Delete the limit of ${each.name}?`} danger run={() => remove(each.id)}>
                      <p>{each.waiting} that wait for it can start at once.</p>
                    </Confirmed>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {mayWrite && (
        <form
          className="row"
          style={{ marginTop: 12 }}
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <TextInput aria-label={what} placeholder={what} value={name} onChange={(event) => setName(event.currentTarget.value)} style={{ flex: 1 }} />
          <NumberInput aria-label="At once" value={limit} onChange={setLimit} min={0} max={1_000_000} w={110} />
          <Button type="submit" disabled={name.trim() === ""}>
            Set
          </Button>
        </form>
      )}
      {error && <p className="message" role="alert">{error}</p>}
    </Card>
  );
}
