import { Button, JsonInput, Switch, TagsInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { parseJson, writeJson } from "../../api/json";
import { graphql } from "../../api/generated";
import type { TypedDocumentString } from "../../api/generated/graphql";
import { act } from "../../app/live";
import { useSession } from "../../app/session";
import { Card } from "../../components/basics";
import { Confirmation, Confirmed } from "../../components/Dialog";
import { Json } from "../../components/Parameters";
import type { FlowVersion } from "../Flow";

type Given = Record<string, unknown>;
type Switching = TypedDocumentString<object, { id: string }>;
const SAFEGUARDS: { name: string; text: string; without: string; on: Switching; off: Switching; isOn: (settings: Given) => boolean }[] = [
  {
    name: "Heartbeats and the Zombie Killer",
    text: "A run that sends no sign of life for two minutes is a zombie: it fails, or is tried again.",
    without: "A run whose process dies without a word stays Running until somebody sets its state by hand.",
    on: graphql(`mutation HeartbeatOn($id: UUID!) { enable_flow_heartbeat(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation HeartbeatOff($id: UUID!) { disable_flow_heartbeat(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["heartbeat_enabled"] !== false,
  },
  {
    name: "Lazarus",
    text: "A run whose process is gone before a task ran is scheduled again, ten times at most.",
    without: "A run whose process is gone before a task ran stays Submitted or Running, and does not start again by itself.",
    on: graphql(`mutation LazarusOn($id: UUID!) { enable_flow_lazarus_process(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation LazarusOff($id: UUID!) { disable_flow_lazarus_process(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["lazarus_enabled"] !== false,
  },
  {
    name: "Version locking",
    text: "A state is refused when somebody else has changed the run meanwhile: your work runs once and only once.",
    without: "Two processes that work on the same run may both report its states: the last one wins, and tasks may run twice.",
    on: graphql(`mutation LockOn($id: UUID!) { enable_flow_version_lock(input: { flow_id: $id }) { success error } }`),
    off: graphql(`mutation LockOff($id: UUID!) { disable_flow_version_lock(input: { flow_id: $id }) { success error } }`),
    isOn: (settings) => settings["version_locking_enabled"] === true,
  },
];
const LABELS = graphql(`
  mutation SetGroupLabels($id: UUID!, $labels: [String!]) {
    set_flow_group_labels(input: { flow_group_id: $id, labels: $labels }) {
      success
      error
    }
  }
`);
const RUN_CONFIG = graphql(`
  mutation SetGroupRunConfig($id: UUID!, $config: JSON) {
    set_flow_group_run_config(input: { flow_group_id: $id, run_config: $config }) {
      success
      error
    }
  }
`);
const DELETE = graphql(`mutation DeleteGroup($id: UUID!) { delete_flow_group(input: { flow_group_id: $id }) { success error } }`);

/** How runs of this flow are guarded, and where they run. */
export function Settings({ slug, flow }: { slug: string; flow: FlowVersion }) {
  return (
    <div className="grid">
      <Safeguards flow={flow} />
      <Labels flow={flow} />
      <RunConfig flow={flow} />
      <Card title="Storage" span={6}>
        <Json value={flow.storage} label="storage" />
      </Card>
      <Deletion slug={slug} flow={flow} />
    </div>
  );
}

/** Switched on at once; what is switched off is missed only when it is needed, so that asks first. */
function Safeguards({ flow }: { flow: FlowVersion }) {
  const { may } = useSession();
  const [error, setError] = useState<string | null>(null);
  const [asked, setAsked] = useState<(typeof SAFEGUARDS)[number] | null>(null);
  const settings = { ...(flow.flow_group?.settings as Given), ...(flow.settings as Given) };
  const switchOn = (safeguard: (typeof SAFEGUARDS)[number]) =>
    void act(safeguard.on, { id: flow.id }).then(
      () => setError(null),
      (reason: Error) => setError(reason.message),
    );
  return (
    <Card title="Safeguards" span={6}>
      {SAFEGUARDS.map((safeguard) => {
        const isOn = safeguard.isOn(settings);
        return (
          <Switch
            key={safeguard.name}
            mb="md"
            label={safeguard.name}
            description={safeguard.text}
            checked={isOn}
            disabled={!may(isOn ? safeguard.off : safeguard.on)}
            onChange={() => (isOn ? setAsked(safeguard) : switchOn(safeguard))}
          />
        );
      })}
      <p className="small quiet">A change holds for runs that begin from now on.</p>
      {error && <p className="note fails" role="alert">{error}</p>}
      {asked && (
        <Confirmation title={`Switch off ${asked.name}?`} label="Switch off" close={() => setAsked(null)} go={() => act(asked.off, { id: flow.id })} danger>
          <p>{asked.without}</p>
        </Confirmation>
      )}
    </Card>
  );
}

function Labels({ flow }: { flow: FlowVersion }) {
  const { may } = useSession();
  const ofCode = (flow.run_config as { labels?: unknown } | null)?.labels;
  const ofGroup = Array.isArray(flow.flow_group?.labels) ? flow.flow_group.labels.map(String) : null;
  const [labels, setLabels] = useState<string[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const send = (to: string[] | null) =>
    act(LABELS, { id: flow.flow_group_id, labels: to }).then(
      () => {
        setLabels(null);
        setError(null);
      },
      (reason: Error) => setError(reason.message),
    );
  return (
    <Card title="Labels" span={6}>
      <TagsInput
        aria-label="Labels of all versions"
        description={ofGroup ? "Set here for all versions." : "From the flow's code. What is set here stands in their place."}
        disabled={!may(LABELS)}
        value={labels ?? ofGroup ?? (Array.isArray(ofCode) ? ofCode.map(String) : [])}
        onChange={setLabels}
      />
      {error && <p className="note fails" role="alert">{error}</p>}
      {may(LABELS) && (
        <div className="row ends">
          {ofGroup && (
            <Button variant="default" onClick={() => void send(null)}>
              Use the code's
            </Button>
          )}
          <Button disabled={labels === null} onClick={() => void send(labels)}>
            Save
          </Button>
        </div>
      )}
    </Card>
  );
}

function RunConfig({ flow }: { flow: FlowVersion }) {
  const { may } = useSession();
  const ofGroup: unknown = flow.flow_group?.run_config ?? null;
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const send = async (config: () => unknown) => {
    try {
      await act(RUN_CONFIG, { id: flow.flow_group_id, config: config() } as never);
      setText(null);
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <Card title="Run configuration" span={6}>
      <JsonInput
        aria-label="Run configuration as JSON"
        description={ofGroup ? "Set here for all versions." : "From the flow's code. What is set here stands in its place."}
        autosize
        minRows={4}
        maxRows={20}
        readOnly={!may(RUN_CONFIG)}
        value={text ?? writeJson(ofGroup ?? flow.run_config)}
        onChange={setText}
        validationError="This is not JSON"
      />
      {error && <p className="note fails" role="alert">{error}</p>}
      {may(RUN_CONFIG) && (
        <div className="row ends">
          {ofGroup !== null && (
            <Button variant="default" onClick={() => void send(() => null)}>
              Use the code's
            </Button>
          )}
          <Button disabled={text === null} onClick={() => void send(() => parseJson(text ?? "null"))}>
            Save
          </Button>
        </div>
      )}
    </Card>
  );
}

function Deletion({ slug, flow }: { slug: string; flow: FlowVersion }) {
  const { may } = useSession();
  const navigate = useNavigate();
  const versions = flow.flow_group?.flows.length ?? 1;
  if (!may(DELETE)) return null;
  const remove = async () => {
    await act(DELETE, { id: flow.flow_group_id });
    await navigate({ to: "/$slug/flows", params: { slug } });
  };
  return (
    <Card title="Delete">
      <div className="row" style={{ justifyContent: "space-between" }}>
        <span className="quiet">Archiving keeps what it ran. Deleting does not.</span>
        <Confirmed label="Delete this flow" title={`Delete ${flow.name}?`} danger word={flow.name} run={remove}>
          <p>
            {versions === 1 ? "Its version goes" : `Its ${versions} versions go`}, and all of their runs, logs and artifacts. Nothing brings them back.
          </p>
        </Confirmed>
      </div>
    </Card>
  );
}
