import { Button, TextInput } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Command, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Table } from "../components/Table";

const PROJECTS = graphql(`
  query Projects {
    project(order_by: [{ name: asc }], limit: 1000) {
      id
      name
      description
      created
      flows_aggregate(where: { archived: { _eq: false } }) {
        aggregate {
          count
        }
      }
    }
  }
`);
const CREATE = graphql(`mutation CreateProject($name: String!) { create_project(input: { name: $name }) { id } }`);
const DELETE = graphql(`mutation DeleteProject($id: UUID!) { delete_project(input: { project_id: $id }) { success error } }`);

export function Projects() {
  const { slug } = useParams({ from: "/$slug/projects" });
  const { may } = useSession();
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const query = useLive(PROJECTS, {});
  const create = async () => {
    try {
      await act(CREATE, { name: name.trim() });
      setName("");
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <Page title="Projects">
      {may(CREATE) && (
        <form
          className="row"
          style={{ marginBottom: 16 }}
          onSubmit={(event) => {
            event.preventDefault();
            void create();
          }}
        >
          <TextInput aria-label="Name of a new project" placeholder="Name of a new project" value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Button type="submit" disabled={name.trim() === ""}>
            Create
          </Button>
          {error && <span className="note fails" role="alert">{error}</span>}
        </form>
      )}
      <div className="card">
        <Loaded query={query}>
          {({ project }) =>
            project.length === 0 ? (
              <Empty title="There are no projects yet.">
                <span>A project holds flows. Make one above, or from a shell:</span>
                <Command text='prefect create project "warehouse"' />
              </Empty>
            ) : (
              <Table
                rows={project.map((each) => ({ ...each, flows: each.flows_aggregate.aggregate?.count ?? 0 }))}
                keyOf={(each) => each.id}
                columns={[
                  {
                    name: "Project",
                    cell: (each) => (
                      <>
                        <Link to="/$slug/flows" params={{ slug }} search={{ project: each.id }}>
                          {each.name}
                        </Link>
                        <div className="small quiet">{each.description}</div>
                      </>
                    ),
                  },
                  { name: "Flows", as: "num", cell: (each) => each.flows },
                  { name: "Made", cell: (each) => <When at={each.created} /> },
                  {
                    name: "",
                    as: "acts",
                    cell: (each) =>
                      may(DELETE) && (
                        <Confirmed label="Delete" title={`Delete ${each.name}?`} danger word={each.name} run={() => act(DELETE, { id: each.id })}>
                          <p>Its {each.flows} flows go with it, and all of their runs. Nothing brings them back.</p>
                        </Confirmed>
                      ),
                  },
                ]}
              />
            )
          }
        </Loaded>
      </div>
    </Page>
  );
}
