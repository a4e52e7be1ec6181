import { Button, Tabs } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";

import { graphql } from "../api/generated";
import type { FlowPageQuery } from "../api/generated/graphql";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Copy, Empty, Loaded, Page } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Graph } from "../components/lazy";
import { FLOW_TABS } from "../lib/tabs";
import { Parameters } from "./flow/Parameters";
import { Readme } from "./flow/Readme";
import { Runs } from "./flow/Runs";
import { Schedule } from "./flow/Schedule";
import { Settings } from "./flow/Settings";
import { Tasks } from "./flow/Tasks";
import { Versions } from "./flow/Versions";

const FLOW = graphql(`
  query FlowPage($where: flow_bool_exp!) {
    flow(where: $where, order_by: [{ archived: asc }, { version: desc }], limit: 1) {
      id
      name
      version
      archived
      created
      core_version
      parameters
      is_schedule_active
      schedule
      late_reason
      storage
      run_config
      settings
      flow_group_id
      flow_group {
        id
        description
        labels
        schedule
        default_parameters
        run_config
        settings
        flows(order_by: [{ version: desc }], limit: 200) {
          id
          version
          archived
          created
          core_version
        }
      }
      project {
        id
        name
      }
    }
  }
`);
const ARCHIVE = graphql(`mutation Archive($id: UUID!) { archive_flow(input: { flow_id: $id }) { success error } }`);
const UNARCHIVE = graphql(`mutation Unarchive($id: UUID!) { unarchive_flow(input: { flow_id: $id }) { success error } }`);
const TITLES: Record<(typeof FLOW_TABS)[number], string> = {
  runs: "Runs", schedule: "Schedule", tasks: "Tasks", versions: "Versions", graph: "Graph", readme: "README",
  parameters: "Parameters", settings: "Settings",
};

export type FlowVersion = FlowPageQuery["flow"][number];

/** How is this flow doing? An address names a flow (its group) or one of its versions. */
export function Flow() {
  const { slug, id } = useParams({ from: "/$slug/flow/$id" });
  const { version } = useSearch({ from: "/$slug/flow/$id" });
  const named = { _or: [{ flow_group_id: { _eq: id } }, { id: { _eq: id } }] };
  const query = useLive(FLOW, { where: version === undefined ? named : { _and: [named, { version: { _eq: version } }] } }, { keep: true });
  return (
    <Loaded query={query} rows={14}>
      {({ flow: [flow] }) =>
        flow ? (
          <Shown slug={slug} flow={flow} />
        ) : (
          <Page title="Flow not found">
            <Empty title="There is no such flow here.">
              {version === undefined ? (
                "It may have been deleted, or be another tenant's."
              ) : (
                <Link to="/$slug/flow/$id" params={{ slug, id }}>
                  It has no version {version}: see the newest
                </Link>
              )}
            </Empty>
          </Page>
        )
      }
    </Loaded>
  );
}

function Shown({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const { tab, version, task } = useSearch({ from: "/$slug/flow/$id" });
  const navigate = useNavigate({ from: "/$slug/flow/$id" });
  const shown = FLOW_TABS.find((each) => each === tab) ?? "runs";
  return (
    <Page
      title={flow.name}
      crumbs={
        <>
          <Link to="/$slug/flows" params={{ slug }} search={flow.project ? { project: flow.project.id } : {}}>
            {flow.project?.name}
          </Link>
          <span>
            version {flow.version}
            {flow.archived && ", archived"}
          </span>
        </>
      }
      actions={<Actions slug={slug} flow={flow} />}
    >
      {flow.late_reason && <p className="note warns">Nothing is scheduled: {flow.late_reason}</p>}
      <Tabs
        value={shown}
        onChange={(to) => to && void navigate({ search: { tab: to, ...(version === undefined ? {} : { version }) }, replace: true })}
        keepMounted={false}
      >
        <Tabs.List>
          {FLOW_TABS.map((each) => (
            <Tabs.Tab key={each} value={each}>
              {TITLES[each]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={shown} pt="lg">
          {shown === "runs" && <Runs slug={slug} flow={flow} />}
          {shown === "schedule" && <Schedule slug={slug} flow={flow} />}
          {shown === "tasks" && <Tasks slug={slug} flowId={flow.id} />}
          {shown === "versions" && <Versions slug={slug} flow={flow} />}
          {shown === "graph" && (
            <div className="card">
              <Graph slug={slug} flowId={flow.id} chosen={task} />
            </div>
          )}
          {shown === "readme" && <Readme key={flow.flow_group_id} groupId={flow.flow_group_id} text={flow.flow_group?.description ?? null} />}
          {shown === "parameters" && <Parameters flow={flow} />}
          {shown === "settings" && <Settings slug={slug} flow={flow} />}
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Actions({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const { may } = useSession();
  return (
    <>
      <Copy text={flow.flow_group_id} label="Copy id" />
      {may(UNARCHIVE) && flow.archived && (
        <Confirmed label="Unarchive" title={`Unarchive version ${flow.version}?`} run={() => act(UNARCHIVE, { id: flow.id })}>
          <p>It can run again, and its schedule goes on.</p>
        </Confirmed>
      )}
      {may(ARCHIVE) && !flow.archived && (
        <Confirmed label="Archive" title={`Archive version ${flow.version}?`} danger run={() => act(ARCHIVE, { id: flow.id })}>
          <p>Its schedule stops, and its runs ahead go. What it ran stays.</p>
        </Confirmed>
      )}
      {may("create:run") && !flow.archived && (
        <Button component={Link} to="/$slug/flow/$id/run" params={{ slug, id: flow.flow_group_id } as never}>
          Run
        </Button>
      )}
    </>
  );
}
