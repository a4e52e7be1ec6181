import { Button, JsonInput } from "@mantine/core";
import { useState } from "react";

import { parseJson, writeJson } from "../../api/json";
import { graphql } from "../../api/generated";
import { act } from "../../app/live";
import { useSession } from "../../app/session";
import { Card, Empty } from "../../components/basics";
import { Table } from "../../components/Table";
import type { FlowVersion } from "../Flow";

const SET = graphql(`
  mutation SetDefaults($id: UUID!, $parameters: JSON!) {
    set_flow_group_default_parameters(input: { flow_group_id: $id, parameters: $parameters }) {
      success
      error
    }
  }
`);

type Parameter = { name?: string; required?: boolean; default?: unknown };

/** What a run can be given, and what it gets where nothing is said. */
export function Parameters({ flow }: { flow: FlowVersion }) {
  const defaults = (flow.flow_group?.default_parameters ?? {}) as Record<string, unknown>;
  const list = Array.isArray(flow.parameters) ? (flow.parameters as Parameter[]) : [];
  return (
    <div className="grid">
      <Card title="Parameters" span={8}>
        {list.length === 0 ? (
          <Empty title="This flow takes no parameters.">A task Parameter("day") in its code makes one.</Empty>
        ) : (
          <Table
            rows={list}
            keyOf={(each) => each.name ?? ""}
            columns={[
              { name: "Name", cell: (each) => each.name },
              { name: "Needed", cell: (each) => (each.required ? "yes" : "no") },
              { name: "In the code", as: "mono", cell: (each) => writeJson(each.default, 0) },
              {
                name: "Set here",
                as: "mono",
                cell: (each) => each.name !== undefined && Object.hasOwn(defaults, each.name) && writeJson(defaults[each.name], 0),
              },
            ]}
          />
        )}
      </Card>
      <Card title="Defaults of all versions" span={4}>
        <Defaults groupId={flow.flow_group_id} given={defaults} />
      </Card>
    </div>
  );
}

function Defaults({ groupId, given }: { groupId: string; given: Record<string, unknown> }) {
  const { may } = useSession();
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const save = async () => {
    try {
      await act(SET, { id: groupId, parameters: parseJson(text ?? "{}") } as never);
      setText(null);
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <JsonInput
        aria-label="Defaults as JSON"
        description="They stand in place of the code's defaults; a run's own values stand before them."
        autosize
        minRows={4}
        maxRows={20}
        readOnly={!may(SET)}
        value={text ?? writeJson(given)}
        onChange={setText}
        validationError="This is not JSON"
      />
      {error && <p className="note fails" role="alert">{error}</p>}
      {may(SET) && (
        <Button type="submit" disabled={text === null} style={{ justifySelf: "end" }}>
          Save
        </Button>
      )}
    </form>
  );
}
