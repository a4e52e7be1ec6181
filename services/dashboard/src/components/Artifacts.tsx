import { Link } from "@tanstack/react-router";

import { BASE } from "../api/client";
import { graphql } from "../api/generated";
import type { Task_Run_Artifact_Bool_Exp } from "../api/generated/graphql";
import { useLive } from "../app/live";
import { safeUrl } from "../lib/links";
import { Empty, Loaded, When } from "./basics";
import { LazyMarkdown } from "./lazy";
import { Json } from "./Parameters";

const ARTIFACTS = graphql(`
  query Artifacts($where: task_run_artifact_bool_exp!) {
    task_run_artifact(where: $where, order_by: [{ created: asc }], limit: 200) {
      id
      kind
      data
      created
      task_run {
        id
        name
        map_index
        task {
          name
          slug
        }
      }
    }
  }
`);

/** What tasks left to look at: links and texts. All of it is hostile until proven otherwise. */
export function Artifacts({ slug, where }: { slug: string; where: Task_Run_Artifact_Bool_Exp }) {
  const query = useLive(ARTIFACTS, { where });
  return (
    <Loaded query={query}>
      {({ task_run_artifact: found }) =>
        found.length === 0 ? (
          <Empty title="There are no artifacts.">
            <span>Tasks make them with prefect.backend.artifacts: create_markdown_artifact and create_link_artifact.</span>
          </Empty>
        ) : (
          found.map((artifact) => (
            <article key={artifact.id} style={{ borderBottom: "1px solid var(--line)", paddingBottom: 12, marginBottom: 12 }}>
              <div className="small quiet row">
                {artifact.task_run && (
                  <Link to="/$slug/task-run/$id" params={{ slug, id: artifact.task_run.id }}>
                    {artifact.task_run.name ?? artifact.task_run.task?.name ?? artifact.task_run.task?.slug}
                    {artifact.task_run.map_index >= 0 && `[${artifact.task_run.map_index}]`}
                  </Link>
                )}
                <When at={artifact.created} />
              </div>
              <Shown kind={artifact.kind} data={artifact.data} />
            </article>
          ))
        )
      }
    </Loaded>
  );
}

function Shown({ kind, data }: { kind: string; data: unknown }) {
  const fields = (data !== null && typeof data === "object" ? data : {}) as Record<string, unknown>;
  if (kind === "markdown" && typeof fields["markdown"] === "string") return <LazyMarkdown text={fields["markdown"]} />;
  if (kind === "link" && typeof fields["link"] === "string") {
    const url = safeUrl(fields["link"], BASE);
    return url ? (
      <a href={url} rel="noopener noreferrer">
        {fields["link"]}
      </a>
    ) : (
      <span>
        {fields["link"]} <span className="quiet small">(not a link that this page follows)</span>
      </span>
    );
  }
  return <Json value={data} label={kind} />;
}
