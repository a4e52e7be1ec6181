import { Select } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { writeJson } from "../../api/json";
import { graphql } from "../../api/generated";
import type { CompareVersionsQuery } from "../../api/generated/graphql";
import { useLive } from "../../app/live";
import { Card, Empty, Loaded, When } from "../../components/basics";
import { diffLines, folded } from "../../lib/diff";
import type { FlowVersion } from "../Flow";

const COMPARE = graphql(`
  query CompareVersions($ids: [uuid!]!) {
    flow(where: { id: { _in: $ids } }, limit: 2) {
      id
      core_version
      schedule
      parameters
      storage
      run_config
      environment
      tasks(order_by: [{ slug: asc }], limit: 2000) {
        slug
        name
        type
        mapped
        max_retries
        retry_delay
        trigger
        tags
        cache_key
      }
      edges(limit: 5000) {
        key
        mapped
        upstream_task {
          slug
        }
        downstream_task {
          slug
        }
      }
    }
  }
`);

type Compared = CompareVersionsQuery["flow"][number];

/** The versions, newest first, and what changed between two of them. */
export function Versions({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const versions = flow.flow_group?.flows ?? [];
  const older = versions.find((each) => each.version < flow.version);
  const [from, setFrom] = useState<string | null>(null);
  const before = from ?? older?.id ?? null;
  return (
    <div className="grid">
      <Card title={`${versions.length} ${versions.length === 1 ? "version" : "versions"}`} span={4}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Registered</th>
              <th scope="col">Core</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((each) => (
              <tr key={each.id} aria-current={each.id === flow.id}>
                <td>
                  <Link to="/$slug/flow/$id" params={{ slug, id: flow.flow_group_id }} search={{ tab: "versions", version: each.version }}>
                    {each.id === flow.id ? <b>{each.version}</b> : each.version}
                  </Link>{" "}
                  {each.archived && <span className="quiet small">archived</span>}
                </td>
                <td>
                  <When at={each.created} />
                </td>
                <td className="quiet">{each.core_version}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
      <Card
        title={`What version ${flow.version} changed`}
        span={8}
        more={
          versions.length > 1 && (
            <Select
              aria-label="Compared with"
              data={versions.filter((each) => each.id !== flow.id).map((each) => ({ value: each.id, label: `since version ${each.version}` }))}
              value={before}
              allowDeselect={false}
              onChange={setFrom}
              w={160}
            />
          )
        }
      >
        {before === null ? (
          <Empty title="There is no version to compare with.">Register the flow again: what changed is shown here.</Empty>
        ) : (
          <Difference from={before} to={flow.id} />
        )}
      </Card>
    </div>
  );
}

function Difference({ from, to }: { from: string; to: string }) {
  const query = useLive(COMPARE, { ids: [from, to] });
  return (
    <Loaded query={query} rows={8}>
      {({ flow: found }) => {
        const [one, other] = [found.find((each) => each.id === from), found.find((each) => each.id === to)];
        if (!one || !other) return <Empty title="One of them is gone." />;
        const [before, after] = [partsOf(one), partsOf(other)];
        const changed = Object.keys(after).filter((name) => before[name] !== after[name]);
        if (changed.length === 0) return <Empty title="Nothing that Headwater knows of changed.">Only the code of its tasks did.</Empty>;
        return changed.map((name) => <Part key={name} name={name} before={before[name] ?? ""} after={after[name] ?? ""} />);
      }}
    </Loaded>
  );
}

function partsOf(flow: Compared): Record<string, string> {
  const edges = flow.edges.map(
    (edge) => `${edge.upstream_task?.slug ?? "?"} -> ${edge.downstream_task?.slug ?? "?"}${edge.key ? ` as ${edge.key}` : ""}${edge.mapped ? ", mapped" : ""}`,
  );
  return {
    Tasks: flow.tasks.map((task) => writeJson(task)).join("\n"),
    Dependencies: edges.sort().join("\n"),
    Schedule: writeJson(flow.schedule),
    Parameters: writeJson(flow.parameters),
    Storage: writeJson(flow.storage),
    "Run configuration": writeJson(flow.run_config),
    Environment: writeJson(flow.environment),
    Core: flow.core_version ?? "",
  };
}

const SIGNS = { same: " ", gone: "−", come: "+", skip: "⋯" } as const;

function Part({ name, before, after }: { name: string; before: string; after: string }) {
  return (
    <>
      <h3>{name}</h3>
      <div className="diff" tabIndex={0} role="group" aria-label={`What changed in ${name}`}>
        {folded(diffLines(before, after)).map((line, index) => (
          <div key={index} className={line.kind}>
            <span aria-label={line.kind === "gone" ? "gone" : line.kind === "come" ? "new" : undefined} role={line.kind === "gone" || line.kind === "come" ? "img" : undefined}>
              {SIGNS[line.kind]}
            </span>
            <span>{line.text}</span>
          </div>
        ))}
      </div>
    </>
  );
}
