import { Button, Menu, TagsInput, TextInput } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { graphql } from "../api/generated";
import { useKey } from "../app/keys";
import { act } from "../app/live";
import { useSession } from "../app/session";
import { ACTIONS } from "../lib/bulk";
import { isFinished } from "../lib/states";
import { Copy } from "./basics";
import { Ask, Confirmed } from "./Dialog";
import { BULK, toOne } from "./Bulk";

const RENAME = graphql(`
  mutation RenameRun($id: UUID!, $name: String!) {
    set_flow_run_name(input: { flow_run_id: $id, name: $name }) {
      success
      error
    }
  }
`);
const SET_STATE = graphql(`
  mutation SetRunState($id: UUID!, $version: Int!, $state: JSON!) {
    set_flow_run_states(input: { states: [{ flow_run_id: $id, version: $version, state: $state }] }) {
      states {
        id
        status
        message
      }
    }
  }
`);
const CANCEL = graphql(`
  mutation CancelRun($id: UUID!) {
    cancel_flow_run(input: { flow_run_id: $id }) {
      state
    }
  }
`);
const DELETE = graphql(`
  mutation DeleteRun($id: UUID!) {
    delete_flow_run(input: { flow_run_id: $id }) {
      success
      error
    }
  }
`);

const LABELS = graphql(`
  mutation LabelRun($id: UUID!, $labels: [String!]!) {
    set_flow_run_labels(input: { flow_run_id: $id, labels: $labels }) {
      success
      error
    }
  }
`);

type Run = { id: string; name: string; state: string; version: number; flow_group_id: string; labels: unknown };
/** States from which a run can be taken up again: what failed in it, and what was cancelled. */
const RESTARTABLE = new Set(["Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "Cancelled"]);
/** States that a person may give a run by hand. */
const BY_HAND = ["Success", "Failed", "Cancelled", "Scheduled"] as const;

/** What can be done to a run: the next step first, the rest behind "More". */
export function RunActions({ slug, run }: { slug: string; run: Run }) {
  const { may } = useSession();
  const [open, setOpen] = useState<"name" | "labels" | "state" | null>(null);
  const navigate = useNavigate();
  const isOver = isFinished(run.state);
  return (
    <>
      <Copy text={run.id} label="Copy id" />
      {may("create:run") && (
        <Button
          component={Link}
          variant="default"
          to="/$slug/flow/$id/run"
          params={{ slug, id: run.flow_group_id } as never}
          search={{ like: run.id } as never}
        >
          Run again
        </Button>
      )}
      {RESTARTABLE.has(run.state) && may(BULK) && <Restart run={run} />}
      {run.state === "Scheduled" && may(BULK) && (
        <Confirmed label="Run now" title={`Run ${run.name} now?`} run={() => toOne("RUN_NOW", run.id)}>
          <p>{ACTIONS.RUN_NOW.text}</p>
        </Confirmed>
      )}
      {!isOver && may(CANCEL) && (
        <Confirmed label="Cancel run" title={`Cancel ${run.name}?`} danger run={() => act(CANCEL, { id: run.id })}>
          <p>A run that has begun is told to stop and becomes Cancelled when its process has ended.</p>
        </Confirmed>
      )}
      {may("update:run") && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button variant="default">More</Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => setOpen("name")}>Rename</Menu.Item>
            <Menu.Item onClick={() => setOpen("labels")}>Change labels</Menu.Item>
            <Menu.Item onClick={() => setOpen("state")}>Set state</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      {isOver && may(DELETE) && (
        <Confirmed
          label="Delete run"
          title={`Delete ${run.name}?`}
          danger
          word={run.name}
          run={async () => {
            await act(DELETE, { id: run.id });
            await navigate({ to: "/$slug/runs", params: { slug } });
          }}
        >
          <p>{ACTIONS.DELETE.text}</p>
        </Confirmed>
      )}
      {open === "name" && <Rename run={run} close={() => setOpen(null)} />}
      {open === "labels" && <Labels run={run} close={() => setOpen(null)} />}
      {open === "state" && <SetState run={run} close={() => setOpen(null)} />}
    </>
  );
}

/** Restart from what failed, by button or by `r`. */
function Restart({ run }: { run: Run }) {
  const [opened, setOpened] = useState(false);
  useKey("r", "Restart from failed", () => setOpened(true));
  return (
    <>
      <Button onClick={() => setOpened(true)}>Restart from failed</Button>
      {opened && (
        <Ask title={`Restart ${run.name}?`} label="Restart" close={() => setOpened(false)} go={() => toOne("RESTART", run.id)}>
          <p className="small">{ACTIONS.RESTART.text} An agent takes the run as soon as it can.</p>
        </Ask>
      )}
    </>
  );
}

function Rename({ run, close }: { run: Run; close: () => void }) {
  const [name, setName] = useState(run.name);
  return (
    <Ask title="Rename the run" label="Rename" close={close} go={() => act(RENAME, { id: run.id, name })} isReady={name.trim() !== ""}>
      <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
    </Ask>
  );
}

function Labels({ run, close }: { run: Run; close: () => void }) {
  const [labels, setLabels] = useState(() => (Array.isArray(run.labels) ? run.labels.map(String) : []));
  return (
    <Ask title="Labels of the run" label="Save" close={close} go={() => act(LABELS, { id: run.id, labels })}>
      <TagsInput
        label="Labels"
        description="An agent takes the run only if it has all of them. It counts for the next time that the run is taken."
        value={labels}
        onChange={setLabels}
        data-autofocus
      />
    </Ask>
  );
}

function SetState({ run, close }: { run: Run; close: () => void }) {
  const [state, setState] = useState<string>(BY_HAND[0]);
  const [message, setMessage] = useState("");
  const go = async () => {
    const given = { type: state, message: message || "Set by a person.", ...(state === "Scheduled" ? { start_time: new Date().toISOString() } : {}) };
    const { set_flow_run_states } = await act(SET_STATE, { id: run.id, version: run.version, state: given });
    const [answer] = set_flow_run_states?.states ?? [];
    if (answer && answer.status !== "SUCCESS") throw new Error(answer.message ?? `It was not done: ${answer.status}.`);
  };
  return (
    <Ask title={`Set the state of ${run.name}`} label={`Set ${state}`} close={close} go={go}>
      <div className="row" role="radiogroup" aria-label="State">
        {BY_HAND.map((each) => (
          <Button key={each} size="xs" role="radio" aria-checked={state === each} variant={state === each ? "filled" : "default"} onClick={() => setState(each)}>
            {each}
          </Button>
        ))}
      </div>
      <TextInput mt="md" label="Why" description="It is kept in the run's history." value={message} onChange={(event) => setMessage(event.currentTarget.value)} data-autofocus />
      <p className="small quiet">The tasks of the run keep their states. A process that still runs is told by its next report.</p>
    </Ask>
  );
}
