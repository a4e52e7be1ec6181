import { Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import { useLive } from "../app/live";
import { Command, Empty, Loaded, Page, When } from "../components/basics";
import { LastRuns } from "../components/runs";
import { TableFrame } from "../components/Table";
import { VirtualBody } from "../components/VirtualBody";
import { scheduleText } from "../lib/schedules";

const FLOWS = graphql(`
  query Flows($where: flow_bool_exp!) {
    flow(where: $where, order_by: [{ name: asc }, { version: desc }], limit: 500) {
      id
      name
      version
      flow_group_id
      is_schedule_active
      schedule
      late_reason
      flow_group {
        schedule
      }
      project {
        id
        name
      }
      last: flow_runs(
        where: { state: { _neq: "Scheduled" } }
        order_by: [{ scheduled_start_time: desc }]
        limit: 10
      ) {
        id
        name
        state
        scheduled_start_time
        start_time
        end_time
      }
      next: flow_runs(
        where: { state: { _eq: "Scheduled" } }
        order_by: [{ scheduled_start_time: asc }]
        limit: 1
      ) {
        id
        scheduled_start_time
      }
    }
    project(order_by: [{ name: asc }], limit: 500) {
      id
      name
    }
  }
`);

const HEADS = [{ name: "Flow" }, { name: "Last runs" }, { name: "Schedule" }, { name: "Next" }] as const;
/** As the document's limit. */
const MOST = 500;

type Chosen = { project?: string; q?: string };

function changed(chosen: Chosen, name: keyof Chosen, value: string | null): Chosen {
  const { [name]: _, ...rest } = chosen;
  return value ? { ...rest, [name]: value } : rest;
}

/** What have we got? Every flow that is not archived, with its last ten runs. */
export function Flows() {
  const { slug } = useParams({ from: "/$slug/flows" });
  const search = useSearch({ from: "/$slug/flows" });
  const navigate = useNavigate({ from: "/$slug/flows" });
  const [asked] = useDebouncedValue(search.q ?? "", 250);
  const where = {
    archived: { _eq: false },
    ...(search.project ? { project_id: { _eq: search.project } } : {}),
    ...(asked ? { name: { _ilike: `%${asked.replace(/[\\%_]/g, "\\$&")}%` } } : {}),
  };
  const query = useLive(FLOWS, { where }, { keep: true });
  // What is here already is narrowed at once; the answer, with what was not here, takes a moment.
  const wanted = search.q?.toLowerCase() ?? "";
  return (
    <Page title="Flows">
      <Loaded query={query} rows={12}>
        {(data) => {
          const shown = data.flow.filter((each) => each.name.toLowerCase().includes(wanted));
          return (
            <>
              <div className="row" style={{ marginBottom: 16 }} role="search">
                <TextInput
                  aria-label="Name"
                  placeholder="Name of a flow"
                  defaultValue={search.q ?? ""}
                  onChange={(event) =>
                    void navigate({ search: changed(search, "q", event.currentTarget.value), replace: true })
                  }
                />
                <Select
                  aria-label="Project"
                  placeholder="All projects"
                  clearable
                  searchable
                  data={data.project.map((each) => ({ value: each.id, label: each.name }))}
                  value={search.project ?? null}
                  onChange={(project) => void navigate({ search: changed(search, "project", project) })}
                />
              </div>
              <div className="card">
                {shown.length === 0 ? (
                  <Empty title="No flow is here.">
                    <Command text="prefect register --project <project> --path flow.py" />
                  </Empty>
                ) : (
                  <TableFrame heads={HEADS} rowCount={shown.length + 1}>
                    <VirtualBody rows={shown} keyOf={(flow) => flow.id} estimate={53} columns={HEADS.length}>
                      {(flow, row) => (
                        <tr key={flow.id} {...row}>
                          <td>
                            <Link to="/$slug/flow/$id" params={{ slug, id: flow.flow_group_id }}>
                              <b>{flow.name}</b>
                            </Link>
                            <div className="small quiet">
                              {flow.project?.name} · version {flow.version}
                            </div>
                          </td>
                          <td>
                            <LastRuns slug={slug} runs={flow.last} />
                          </td>
                          <td>
                            {scheduleText(flow.flow_group?.schedule ?? flow.schedule) ?? <span className="quiet">none</span>}
                            {(flow.flow_group?.schedule ?? flow.schedule) !== null && !flow.is_schedule_active && (
                              <div className="small quiet">paused</div>
                            )}
                            {flow.late_reason && <div className="small">{flow.late_reason}</div>}
                          </td>
                          <td>
                            <When at={flow.next[0]?.scheduled_start_time} />
                          </td>
                        </tr>
                      )}
                    </VirtualBody>
                  </TableFrame>
                )}
                {data.flow.length === MOST && <p className="small quiet">The first {MOST} are shown. A name or a project shows the others.</p>}
              </div>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
