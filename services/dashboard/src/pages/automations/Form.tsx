import { MultiSelect, NumberInput, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import { Ask } from "../../components/Dialog";
import {
  ACTIONS, actionsFor, changesOf, EVENTS, faultOf, fieldsOf, NEW, preview, SLA_KINDS, variablesOf,
  type ActionType, type Draft, type EventType, type Field, type SlaKind,
} from "../../lib/automations";
import { FAMILIES, FAMILY_NAMES, statesOf } from "../../lib/states";
import { AgentConfigChoices, FlowChoice, FlowChoices, SecretChoice } from "./choices";
import { save, type Before } from "./save";

type Change = (more: Partial<Draft>) => void;
const STATES = FAMILIES.map((family) => ({ group: FAMILY_NAMES[family], items: statesOf(family) }));

/** A new automation, or one that is changed: when what happens, what is done. */
export function Form({ before, close, onWarning }: { before?: Before; close: () => void; onWarning: (warning: string | null) => void }) {
  const [draft, setDraft] = useState<Draft>(before?.draft ?? NEW);
  const change: Change = (more) => setDraft((now) => ({ ...now, ...more }));
  const fault = faultOf(draft, before !== undefined && !changesOf(before.draft, draft).action);
  const chooseEvent = (event: EventType) => {
    const offered = actionsFor(event);
    change({ event, action: offered.includes(draft.action) ? draft.action : NEW.action });
  };
  return (
    <Ask
      title={before ? "Change the automation" : "New automation"}
      label={before ? "Save" : "Make it"}
      size="lg"
      close={close}
      isReady={fault === null}
      go={async () => onWarning(await save(draft, before))}
    >
      <div className="form">
        <TextInput label="Name" withAsterisk value={draft.name} onChange={(event) => change({ name: event.currentTarget.value })} maxLength={255} data-autofocus />
        <Select
          label="When"
          data={(Object.keys(EVENTS) as EventType[]).map((value) => ({ value, label: EVENTS[value] }))}
          value={draft.event}
          onChange={(event) => event && chooseEvent(event as EventType)}
          allowDeselect={false}
        />
        <Event draft={draft} change={change} />
        <Select
          label="Do"
          data={actionsFor(draft.event).map((value) => ({ value, label: ACTIONS[value].label }))}
          value={draft.action}
          onChange={(action) => action && change({ action: action as ActionType })}
          allowDeselect={false}
        />
        {fieldsOf(draft.action).map((field) => (
          <ActionField
            key={`${draft.action} ${field.name}`}
            field={field}
            event={draft.event}
            text={draft.texts[field.name] ?? ""}
            setText={(text) => change({ texts: { ...draft.texts, [field.name]: text } })}
          />
        ))}
        {fault !== null && (
          <p className="small quiet" role="status">
            {fault}
          </p>
        )}
      </div>
    </Ask>
  );
}

/** What is waited for, by the type of the event. */
function Event({ draft, change }: { draft: Draft; change: Change }) {
  if (draft.event === "AgentSLAFailedEvent") return <AgentConfigChoices chosen={draft.agentConfigs} choose={(agentConfigs) => change({ agentConfigs })} />;
  const isSla = draft.event === "FlowSLAFailedEvent";
  return (
    <>
      {isSla ? (
        <div className="row" style={{ alignItems: "flex-end" }}>
          <Select
            label="It"
            data={(Object.keys(SLA_KINDS) as SlaKind[]).map((value) => ({ value, label: SLA_KINDS[value] }))}
            value={draft.slaKind}
            onChange={(kind) => kind && change({ slaKind: kind as SlaKind })}
            allowDeselect={false}
          />
          <NumberInput
            label={draft.slaKind === "SCHEDULED_NOT_STARTED" ? "Seconds after its time" : "Seconds after its start"}
            value={draft.slaSeconds}
            onChange={(seconds) => change({ slaSeconds: Number(seconds) })}
            min={1}
            max={31_536_000}
            allowDecimal={false}
          />
        </div>
      ) : (
        <MultiSelect label="One of these states" data={STATES} value={draft.states} onChange={(states) => change({ states })} searchable />
      )}
      <FlowChoices
        label="Of these flows"
        description={isSla ? "Runs of all their versions, from now on." : "Empty: of every flow, also of those that come later."}
        chosen={draft.flows}
        choose={(flows) => change({ flows })}
      />
      <TagsInput label="Only with these labels" description="Empty: whatever its labels." value={draft.labels} onChange={(labels) => change({ labels })} />
      <TagsInput label="Only of these projects" description="By name. Empty: of every project." value={draft.projects} onChange={(projects) => change({ projects })} />
    </>
  );
}

const SEVERITIES = ["info", "warning", "error", "critical"];

function ActionField({ field, event, text, setText }: { field: Field; event: EventType; text: string; setText: (text: string) => void }) {
  const { label, kind, hint, required = false } = field;
  const common = { label, description: hint, withAsterisk: required };
  switch (kind) {
    case "secret":
      return <SecretChoice label={label} required={required} chosen={text} choose={setText} />;
    case "flow":
      return <FlowChoice label={label} description={hint} chosen={text} choose={setText} />;
    case "severity":
      return <Select {...common} data={SEVERITIES} value={text === "" ? null : text} onChange={(chosen) => setText(chosen ?? "")} />;
    case "labels":
    case "lines":
      return <TagsInput {...common} value={text === "" ? [] : text.split("\n")} onChange={(lines) => setText(lines.join("\n"))} />;
    case "json":
      return <Textarea {...common} value={text} onChange={(change) => setText(change.currentTarget.value)} autosize minRows={2} maxRows={12} className="mono" />;
    case "template":
      return <Template {...common} event={event} text={text} setText={setText} />;
    case "text":
      return <TextInput {...common} value={text} onChange={(change) => setText(change.currentTarget.value)} />;
  }
}

/** A message with its variables, and how it reads for a sample event. */
function Template({ event, text, setText, ...common }: { event: EventType; text: string; setText: (text: string) => void; label: string; description: string | undefined }) {
  const shown = preview(text, event);
  return (
    <div className="form">
      <Textarea {...common} value={text} onChange={(change) => setText(change.currentTarget.value)} autosize minRows={2} maxRows={8} placeholder="{flow_name} is {state}: {flow_run_link}" />
      <div className="note" role="region" aria-label="Preview">
        <span className="wrap">{shown.text}</span>
        {shown.unknown.length > 0 && <p className="small">No such event has {shown.unknown.map((name) => `{${name}}`).join(", ")}: it stays as it is written.</p>}
      </div>
      <details className="small">
        <summary>Variables</summary>
        <span className="words">
          {variablesOf(event).map((name) => (
            <code key={name} className="word">{`{${name}}`}</code>
          ))}
        </span>
      </details>
    </div>
  );
}
