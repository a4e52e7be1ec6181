import { Button, JsonInput, SegmentedControl, TagsInput, TextInput } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { parseJson, writeJson } from "../api/json";
import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import { Card, Command, Empty, Loaded, Page } from "../components/basics";
import { fieldError, fieldText, fieldValue } from "../lib/parameters";

const FORM = graphql(`
  query NewRunForm($id: uuid!, $like: uuid!) {
    flow(where: { flow_group_id: { _eq: $id }, archived: { _eq: false } }, order_by: [{ version: desc }], limit: 1) {
      id
      name
      version
      parameters
      run_config
      flow_group {
        default_parameters
        labels
        run_config
      }
    }
    like: flow_run_by_pk(id: $like) {
      parameters
      labels
    }
    agent(order_by: [{ last_queried: desc_nulls_last }], limit: 200) {
      id
      name
      labels
      last_queried
    }
  }
`);
const CREATE = graphql(`
  mutation NewRun($input: create_flow_run_input!) {
    create_flow_run(input: $input) {
      id
    }
  }
`);
const NONE = "00000000-0000-0000-0000-000000000000";
const LIVE = 60_000;

type Parameter = { name: string; required?: boolean; default?: unknown };

/** Run this flow: with what, when, and where? The form and the JSON are one value. */
export function NewRun() {
  const { slug, id } = useParams({ from: "/$slug/flow/$id/run" });
  const { like } = useSearch({ from: "/$slug/flow/$id/run" });
  const query = useLive(FORM, { id, like: like ?? NONE });
  return (
    <Loaded query={query} rows={10}>
      {(data) => {
        const flow = data.flow[0];
        if (!flow) {
          return (
            <Page title="New run">
              <Empty title="No version of this flow can run.">
                <span>Unarchive one, or register the flow again:</span>
                <Command text="prefect register --project warehouse --path flow.py" />
              </Empty>
            </Page>
          );
        }
        const parameters = (Array.isArray(flow.parameters) ? flow.parameters : []) as Parameter[];
        const defaults: Record<string, unknown> = {};
        for (const parameter of parameters) if (!parameter.required || parameter.default != null) defaults[parameter.name] = parameter.default ?? null;
        const given = { ...defaults, ...(flow.flow_group?.default_parameters as object), ...(data.like?.parameters as object | undefined) };
        const labels = labelsOf(data.like?.labels) ?? labelsOf(flow.flow_group?.labels) ?? labelsOf((flow.run_config as { labels?: unknown } | null)?.labels) ?? [];
        return (
          <Page
            title={`Run ${flow.name}`}
            crumbs={
              <Link to="/$slug/flow/$id" params={{ slug, id }}>
                {flow.name} version {flow.version}
              </Link>
            }
          >
            <Form slug={slug} flowId={flow.id} parameters={parameters} given={given} givenLabels={labels} agents={data.agent} />
          </Page>
        );
      }}
    </Loaded>
  );
}

function labelsOf(value: unknown): string[] | null {
  return Array.isArray(value) ? value.map(String) : null;
}

function Form({
  slug,
  flowId,
  parameters,
  given,
  givenLabels,
  agents,
}: {
  slug: string;
  flowId: string;
  parameters: Parameter[];
  given: Record<string, unknown>;
  givenLabels: string[];
  agents: { id: string; name: string | null; labels: unknown; last_queried: string | null }[];
}) {
  const navigate = useNavigate();
  const { now, zone } = usePreferences();
  // What the reader types stays, whatever comes in behind the form.
  const [values, setValues] = useState(given);
  const [texts, setTexts] = useState<Record<string, string>>(() => toTexts(parameters, given));
  const [json, setJson] = useState(() => writeJson(given));
  const [way, setWay] = useState("form");
  const [labels, setLabels] = useState(givenLabels);
  const [name, setName] = useState("");
  const [when, setWhen] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => setError(null), [json, texts]);

  const setField = (field: string, text: string) => {
    setTexts((was) => ({ ...was, [field]: text }));
    if (fieldError(text) === null) setValues((was) => ({ ...was, [field]: fieldValue(text) }));
  };
  const change = (to: string) => {
    if (to === "json") setJson(writeJson(values));
    else {
      try {
        const parsed = parseJson(json);
        if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new Error("it is not an object");
        setValues(parsed as Record<string, unknown>);
        setTexts(toTexts(parameters, parsed as Record<string, unknown>));
      } catch (reason) {
        return setError(`The parameters are not JSON: ${(reason as Error).message}`);
      }
    }
    setWay(to);
  };
  const able = agents.filter((agent) => {
    const has = new Set(labelsOf(agent.labels) ?? []);
    return labels.every((label) => has.has(label)) && (labels.length > 0 || has.size === 0);
  });
  const live = able.filter((agent) => agent.last_queried && now - Date.parse(agent.last_queried) < LIVE);
  const submit = async () => {
    let chosen: unknown = values;
    setError(null);
    try {
      if (way === "json") chosen = parseJson(json);
    } catch (reason) {
      return setError(`The parameters are not JSON: ${(reason as Error).message}`);
    }
    for (const [field, text] of way === "form" ? Object.entries(texts) : []) {
      const wrong = fieldError(text);
      if (wrong) return setError(`${field}: ${wrong}`);
    }
    setBusy(true);
    try {
      const input = {
        flow_id: flowId,
        parameters: chosen,
        labels,
        ...(name.trim() ? { flow_run_name: name.trim() } : {}),
        ...(when ? { scheduled_start_time: new Date(when).toISOString() } : {}),
      };
      const { create_flow_run: made } = await act(CREATE, { input });
      if (made?.id) await navigate({ to: "/$slug/flow-run/$id", params: { slug, id: made.id } });
    } catch (reason) {
      setError((reason as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="grid"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Card
        title="Parameters"
        span={8}
        more={<SegmentedControl size="xs" value={way} onChange={change} data={[{ value: "form", label: "Form" }, { value: "json", label: "JSON" }]} />}
      >
        {way === "json" ? (
          <JsonInput aria-label="Parameters as JSON" value={json} onChange={setJson} autosize minRows={8} maxRows={30} validationError="This is not JSON" />
        ) : parameters.length === 0 ? (
          <p className="quiet">This flow takes no parameters.</p>
        ) : (
          parameters.map((parameter) => (
            <TextInput
              key={parameter.name}
              mb="sm"
              label={parameter.name}
              withAsterisk={parameter.required ?? false}
              description={parameter.default == null ? undefined : `default ${writeJson(parameter.default, 0).slice(0, 200)}`}
              value={texts[parameter.name] ?? ""}
              error={fieldError(texts[parameter.name] ?? "")}
              onChange={(event) => setField(parameter.name, event.currentTarget.value)}
            />
          ))
        )}
      </Card>
      <Card title="When and where" span={4}>
        <TextInput label="Name" placeholder="one is made up" value={name} onChange={(event) => setName(event.currentTarget.value)} mb="sm" />
        <TextInput
          type="datetime-local"
          label="When"
          description={`empty: now. In the zone of this browser${when ? `; that is ${new Date(when).toLocaleString("en-GB", { timeZone: zone })} in ${zone}` : ""}`}
          value={when}
          onChange={(event) => setWhen(event.currentTarget.value)}
          mb="sm"
        />
        <TagsInput label="Labels" description="An agent must have all of them" value={labels} onChange={setLabels} mb="sm" />
        <p className={`note${live.length > 0 ? " good" : " warns"}`} role="status">
          {live.length > 0
            ? `${live.length} live ${live.length === 1 ? "agent" : "agents"} can take it: ${live.slice(0, 3).map((agent) => agent.name ?? agent.id).join(", ")}`
            : able.length > 0
              ? "Agents with these labels are known, but none asks for work now."
              : "No agent has these labels: the run would wait."}
        </p>
        {error && <p className="note fails" role="alert">{error}</p>}
        <Button type="submit" size="sm" loading={busy} fullWidth>
          Run
        </Button>
      </Card>
    </form>
  );
}

function toTexts(parameters: Parameter[], values: Record<string, unknown>): Record<string, string> {
  const names = new Set([...parameters.map((each) => each.name), ...Object.keys(values)]);
  return Object.fromEntries([...names].map((name) => [name, name in values ? fieldText(values[name]) : ""]));
}
