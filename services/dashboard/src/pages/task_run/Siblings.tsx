import { Button, Select } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { request } from "../../api/client";
import { graphql } from "../../api/generated";
import { usePreferences } from "../../app/preferences";
import { Empty, Loaded, Took, When } from "../../components/basics";
import { State } from "../../components/State";
import { FAMILIES, FAMILY_NAMES, isFinished, statesOf, type Family } from "../../lib/states";
import { took } from "../../lib/time";

const SIBLINGS = graphql(`
  query Siblings($where: task_run_bool_exp!, $offset: Int!) {
    task_run(where: $where, order_by: [{ map_index: asc }], limit: 200, offset: $offset) {
      id
      map_index
      state
      state_message
      start_time
      end_time
    }
  }
`);
const PAGE = 200;

/** The mapped children of one task in one run; `shown` is the one whose page this is. */
export function Siblings({ slug, flowRunId, taskId, shown }: { slug: string; flowRunId: string; taskId: string; shown: string }) {
  const { now } = usePreferences();
  const [family, setFamily] = useState<Family | null>(null);
  const where = {
    flow_run_id: { _eq: flowRunId }, task_id: { _eq: taskId }, map_index: { _gte: 0 },
    ...(family ? { state: { _in: statesOf(family) } } : {}),
  };
  const query = useInfiniteQuery({
    queryKey: ["live", "siblings", where],
    queryFn: ({ pageParam, signal }) => request(SIBLINGS, { where, offset: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => (last.task_run.length === PAGE ? pages.length * PAGE : undefined),
  });
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select
          aria-label="State of the children"
          data={[{ value: "", label: "All states" }, ...FAMILIES.map((each) => ({ value: each, label: FAMILY_NAMES[each] }))]}
          value={family ?? ""}
          allowDeselect={false}
          onChange={(chosen) => setFamily(chosen ? (chosen as Family) : null)}
        />
      </div>
      <Loaded query={query} rows={6}>
        {({ pages }) => {
          const runs = pages.flatMap((page) => page.task_run);
          if (runs.length === 0) return <Empty title={family ? "No child is in this state." : "It has no mapped children yet."} />;
          return (
            <div className="scroll">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Index</th>
                    <th scope="col">State</th>
                    <th scope="col">Started</th>
                    <th scope="col" className="num">Took</th>
                    <th scope="col">Message</th>
                  </tr>
                </thead>
                <tbody>
                  {runs.map((run) => (
                    <tr key={run.id} aria-current={run.id === shown}>
                      <td>
                        {run.id === shown ? (
                          <b>[{run.map_index}]</b>
                        ) : (
                          <Link to="/$slug/task-run/$id" params={{ slug, id: run.id }}>
                            [{run.map_index}]
                          </Link>
                        )}
                      </td>
                      <td>
                        <State state={run.state} />
                      </td>
                      <td>
                        <When at={run.start_time} />
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
        }}
      </Loaded>
      {query.hasNextPage && (
        <Button mt="md" variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show {PAGE} more
        </Button>
      )}
    </>
  );
}
