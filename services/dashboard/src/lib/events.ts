/** What `GET /events` tells (services/gateway/events): small hints that something is worth looking at again. Pure. */

export const KINDS = ["agent", "flow", "flow_group", "flow_run", "log", "project", "task_run"] as const;
export type Kind = (typeof KINDS)[number];

export type Hint = {
  kind: Kind;
  id: string;
  change?: string;
  version?: number;
  state?: string;
  flow_id?: string;
  flow_group_id?: string;
  flow_run_id?: string;
};

/** One message of the stream. `id` is the place from which it can be resumed; null where the message has none. */
export type Message = { event: string; data: string; id: string | null };

/**
 * A reader of server-sent events (WHATWG HTML, 9.2.6): takes text as it comes, gives the messages that are whole.
 * A message that is only an id (the gateway's heartbeat) comes with the event `place`.
 */
export function messageReader(): (text: string) => Message[] {
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id: string | null = null;
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?=.)/);
    rest = lines.pop() ?? "";
    const messages: Message[] = [];
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) messages.push({ event: event || "message", data: data.join("\n"), id });
        else if (id !== null) messages.push({ event: "place", data: "", id });
        [event, data, id] = ["", [], null];
        continue;
      }
      const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "id") id = value;
    }
    return messages;
  };
}

/** The hints of a message; none where it is not what was expected. */
export function hintsOf(data: string): Hint[] {
  try {
    const body = JSON.parse(data) as { hints?: unknown };
    return Array.isArray(body.hints) ? (body.hints as Hint[]).filter((hint) => KINDS.includes(hint?.kind)) : [];
  } catch {
    return [];
  }
}

/** What a query shows: kinds of objects, and the ids it is about; null where it is about any of its kinds. */
export type Interest = { kinds: ReadonlySet<Kind>; ids: ReadonlySet<string> | null };

/** Which tables of a document are about which kind. A name counts where it opens a selection or takes arguments. */
const NAMES: readonly (readonly [RegExp, readonly Kind[]])[] = [
  [/\bflow_runs?(_(by_pk|aggregate|buckets|durations|counts_by_flow))?\s*[({]/, ["flow_run"]],
  [/\b(task_runs?(_(by_pk|aggregate|artifact))?|mapped_summary|mapped_children)\s*[({]/, ["task_run"]],
  [/\b(agents?(_by_pk|_aggregate)?|flow_run_agents)\s*[({]/, ["agent"]],
  [/\bflows?(_by_pk|_aggregate)?\s*[({]/, ["flow"]],
  [/\bflow_groups?(_by_pk)?\s*[({]/, ["flow_group"]],
  [/\bprojects?(_by_pk)?\s*[({]/, ["project"]],
  [/\blogs?(_aggregate)?\s*[({]/, ["log"]],
  [/\b(\w*concurrency\w*|task_tag_limit)\s*[({]/, ["flow_run", "task_run"]],
];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * What a document shows, read from its text. Variables that are ids say what it is about: a page of one run is not
 * asked anew for every other run.
 */
export function interestOf(document: string, variables: unknown): Interest {
  const kinds = NAMES.flatMap(([name, named]) => (name.test(document) ? named : []));
  const values = Object.values((variables ?? {}) as Record<string, unknown>);
  const ids = values.filter((value): value is string => typeof value === "string" && UUID.test(value));
  return { kinds: new Set(kinds), ids: ids.length > 0 ? new Set(ids) : null };
}

/** Whether what is shown may have changed. */
export function concerns(interest: Interest, hint: Hint): boolean {
  if (!interest.kinds.has(hint.kind)) return false;
  if (interest.ids === null) return true;
  return [hint.id, hint.flow_id, hint.flow_group_id, hint.flow_run_id].some((id) => id !== undefined && interest.ids?.has(id));
}

/** Milliseconds between two looks at the same thing while hints of it keep coming: of one object, and of a list. */
const GAPS = { one: { least: 1_000, most: 4_000 }, list: { least: 2_000, most: 10_000 } } as const;
/** A list that was quiet for so long is looked at at once when something happens. */
const QUIET = 10_000;

/** When a query was looked at last because of a hint, and how long it then had to wait for the next. */
export type Pace = { at: number; gap: number };

/**
 * When to look again after a hint at `now`: at once after a quiet time, then ever less often while hints keep coming, and
 * never so often that the answers, which take `took` milliseconds, keep the database busy for more than a fourth of it.
 */
export function paceAfter(last: Pace | undefined, interest: Interest, took: number, now: number): Pace {
  const { least, most } = interest.ids === null ? GAPS.list : GAPS.one;
  if (last === undefined || now - last.at > QUIET) return { at: now, gap: Math.max(least, 4 * took) };
  const at = Math.max(now, last.at + last.gap);
  return { at, gap: Math.max(Math.min(2 * last.gap, most), 4 * took) };
}
