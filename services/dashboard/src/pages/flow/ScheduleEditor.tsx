import { Button, JsonInput, NumberInput, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { request } from "../../api/client";
import { graphql } from "../../api/generated";
import { act } from "../../app/live";
import { usePreferences } from "../../app/preferences";
import { Problem } from "../../components/basics";
import { Confirmed } from "../../components/Dialog";
import { Words } from "../../components/Facts";
import { clockInput, draftError, draftsOf, newDraft, scheduleInput, UNITS, type ClockKind, type Draft, type Unit } from "../../lib/clocks";
import { cronText } from "../../lib/schedules";
import { absolute } from "../../lib/time";

const PREVIEW = graphql(`
  query SchedulePreview($clocks: [preview_clock_input!]!) {
    schedule_preview(clocks: $clocks, count: 10) {
      reason
      instants {
        start_time
        local
        parameters
        labels
      }
    }
  }
`);
const SET = graphql(`
  mutation SetGroupSchedule($input: set_flow_group_schedule_input!) {
    set_flow_group_schedule(input: $input) {
      success
      error
    }
  }
`);
const REMOVE = graphql(`
  mutation RemoveGroupSchedule($id: UUID!) {
    delete_flow_group_schedule(input: { flow_group_id: $id }) {
      success
      error
    }
  }
`);
const KINDS: { value: ClockKind; label: string }[] = [
  { value: "cron", label: "Cron expression" },
  { value: "interval", label: "Every so often" },
  { value: "rrule", label: "Recurrence rule" },
  { value: "dates", label: "Given dates" },
];

/** Clocks of all versions of a flow: written, seen with their next instants, and saved. */
export function ScheduleEditor({ groupId, ofGroup, ofFlow, onDone }: { groupId: string; ofGroup: unknown; ofFlow: unknown; onDone: () => void }) {
  const { zone } = usePreferences();
  const [{ drafts, left }, setDrafts] = useState(() => {
    const found = draftsOf(ofGroup ?? ofFlow, zone);
    return found.drafts.length > 0 ? found : { drafts: [newDraft(zone)], left: found.left };
  });
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const wrong = drafts.map(draftError).find((each) => each !== null) ?? null;
  const change = (index: number, to: Draft | null) =>
    setDrafts((was) => ({ ...was, drafts: was.drafts.flatMap((draft, at) => (at === index ? (to ? [to] : []) : [draft])) }));
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await act(SET, { input: scheduleInput(groupId, drafts) } as never);
      onDone();
    } catch (reason) {
      setError((reason as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="editor">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {left > 0 && (
          <p className="note warns">
            {left === 1 ? "One clock" : `${left} clocks`} of the flow's code cannot be edited here (sets of rules, clocks of its own). What is saved
            here stands in place of all of them.
          </p>
        )}
        {drafts.map((draft, index) => (
          <ClockForm
            key={index}
            number={index + 1}
            draft={draft}
            change={(to) => change(index, to)}
            {...(drafts.length > 1 ? { remove: () => change(index, null) } : {})}
          />
        ))}
        <div className="row">
          <Button variant="default" onClick={() => setDrafts((was) => ({ ...was, drafts: [...was.drafts, newDraft(zone)] }))}>
            Add a clock
          </Button>
        </div>
        {(error ?? wrong) && (
          <p className="note fails" role="alert">
            {error ?? wrong}
          </p>
        )}
        <div className="row ends">
          {ofGroup !== null && (
            <Confirmed
              label="Remove"
              title="Remove the schedule that was set here?"
              danger
              run={() => act(REMOVE, { id: groupId }).then(onDone)}
            >
              <p>{ofFlow ? "The schedule of the flow's code holds again." : "The flow runs only when somebody asks."}</p>
            </Confirmed>
          )}
          <Button variant="default" onClick={onDone}>
            Back
          </Button>
          <Button type="submit" loading={busy} disabled={wrong !== null}>
            Save for all versions
          </Button>
        </div>
      </form>
      <Preview drafts={drafts} ready={wrong === null} />
    </div>
  );
}

function ClockForm({ number, draft, change, remove }: { number: number; draft: Draft; change: (to: Draft) => void; remove?: () => void }) {
  const set = (to: Partial<Draft>) => change({ ...draft, ...to });
  return (
    <fieldset className="clock">
      <legend>Clock {number}</legend>
      <div className="pair">
        <Select label="Kind" data={KINDS} value={draft.kind} allowDeselect={false} onChange={(kind) => kind && set({ kind: kind as ClockKind })} />
        <Select
          label="Time zone"
          searchable
          limit={50}
          data={[...new Set([draft.timezone, "UTC", ...Intl.supportedValuesOf("timeZone")])]}
          value={draft.timezone}
          allowDeselect={false}
          onChange={(timezone) => timezone && set({ timezone })}
        />
      </div>
      {draft.kind === "cron" && (
        <TextInput
          label="Cron"
          description={cronText(draft.cron)}
          value={draft.cron}
          onChange={(event) => set({ cron: event.currentTarget.value })}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
        />
      )}
      {draft.kind === "interval" && (
        <div className="pair">
          <NumberInput label="Every" min={1} value={draft.every} onChange={(every) => set({ every: String(every) })} />
          <Select
            label="Unit"
            data={Object.keys(UNITS)}
            value={draft.unit}
            allowDeselect={false}
            onChange={(unit) => unit && set({ unit: unit as Unit })}
          />
        </div>
      )}
      {draft.kind === "rrule" && (
        <TextInput
          label="Rule"
          description="Of iCalendar: FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0 is the last Friday of each month at 18:00"
          value={draft.rrule}
          onChange={(event) => set({ rrule: event.currentTarget.value })}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
        />
      )}
      {draft.kind === "dates" && (
        <Textarea
          label="Dates and times"
          description={`One a line, on the wall clock of ${draft.timezone}: 2026-12-24T09:00`}
          autosize
          minRows={2}
          maxRows={10}
          value={draft.dates}
          onChange={(event) => set({ dates: event.currentTarget.value })}
        />
      )}
      <details className="more">
        <summary>Parameters, labels and start of this clock</summary>
        <div className="form">
          {draft.kind !== "dates" && (
            <TextInput
              type="datetime-local"
              label="Counts from"
              description={`On the wall clock of ${draft.timezone}; empty: from when it is saved`}
              value={draft.start.slice(0, 16)}
              onChange={(event) => set({ start: event.currentTarget.value })}
            />
          )}
          <JsonInput
            label="Parameters of its runs"
            placeholder='{"day": "yesterday"}'
            autosize
            minRows={1}
            value={draft.parameters}
            onChange={(parameters) => set({ parameters })}
          />
          <TagsInput
            label="Labels of its runs"
            description="None: those of the flow"
            value={draft.labels ?? []}
            onChange={(labels) => set({ labels: labels.length > 0 ? labels : null })}
          />
        </div>
      </details>
      {remove && (
        <Button variant="subtle" size="compact-xs" onClick={remove}>
          Remove clock {number}
        </Button>
      )}
    </fieldset>
  );
}

/** When the clocks would fire, as the scheduler itself counts, or why they are refused. */
function Preview({ drafts, ready }: { drafts: readonly Draft[]; ready: boolean }) {
  const { zone } = usePreferences();
  const [asked] = useDebouncedValue(drafts, 300);
  const preview = useQuery({
    queryKey: ["preview", asked],
    queryFn: ({ signal }) => request(PREVIEW, { clocks: asked.map(clockInput) } as never, signal),
    enabled: ready && asked.every((draft) => draftError(draft) === null),
    placeholderData: (previous) => previous,
  });
  const found = preview.data?.schedule_preview;
  return (
    <section aria-label="Next instants" aria-live="polite" className="preview">
      <h3>Next instants</h3>
      {preview.error && <Problem error={preview.error} />}
      {found?.reason && <p className="note fails">{found.reason}</p>}
      {found && !found.reason && found.instants.length === 0 && <p className="note warns">These clocks never fire again.</p>}
      {found && !found.reason && found.instants.length > 0 && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">On its clock</th>
              <th scope="col">In {zone}</th>
              <th scope="col">With</th>
            </tr>
          </thead>
          <tbody>
            {found.instants.map((instant, index) => (
              <tr key={index}>
                <td>{instant.local.replace("T", " ").slice(0, 16)} <span className="quiet small">{instant.local.slice(19)}</span></td>
                <td>
                  <time dateTime={instant.start_time}>{absolute(Date.parse(instant.start_time), zone).replace(/:00 /, " ")}</time>
                </td>
                <td className="small">
                  {Object.keys(instant.parameters as object).length > 0 && <code>{JSON.stringify(instant.parameters)}</code>}
                  {instant.labels && <Words words={instant.labels} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
