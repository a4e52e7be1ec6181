/** Messages of the inbox, of the types that Cloud wrote and of any other. Their content is of whoever wrote it. Pure. */

export type Message = { id: string; type: string | null; text: string | null; content: unknown; read: boolean; created: string };
/** What a message says: a line, a longer text in Markdown, and what it is about. */
export type Said = { title: string; body: string | null; run: string | null; taskRun: string | null; link: string | null };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Characters of a line; a longer one is cut, and is whole in its body. */
const LINE = 200;

function field(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

function text(...candidates: readonly unknown[]): string | null {
  const found = candidates.find((each): each is string => typeof each === "string" && each.trim() !== "");
  return found ?? null;
}

function id(value: unknown): string | null {
  return typeof value === "string" && UUID.test(value) ? value : null;
}

/** What a message says; one of a type or a shape that nobody knows says its text, or its type. */
export function saidBy({ type, text: line, content }: Message): Said {
  const run = id(field(content, "event", "id"));
  const taskRun = id(field(content, "task_run", "id"));
  const flow = text(field(content, "event", "flow", "name"));
  const state = text(field(content, "event", "state"), field(content, "event", "state", "state"));
  const body = text(field(content, "message"), field(content, "body"));
  const sender = text(field(content, "sender_tenant_name"));
  const made = {
    CLOUD_HOOK: flow && state ? `A run of ${flow} is ${state}` : null,
    REQUIRES_APPROVAL: "A task run waits for an approval",
    MEMBERSHIP_INVITATION: sender && `You are invited to ${sender}`,
  }[type ?? ""];
  const title = text(field(content, "title"), line, made, body) ?? `A message of the type ${type ?? "unknown"}`;
  const isCut = title.length > LINE;
  const first = title.split("\n", 1)[0] ?? "";
  return {
    title: isCut || first !== title ? `${first.slice(0, LINE)}…` : title,
    body: body !== null && body !== title ? body : isCut || first !== title ? title : null,
    run,
    taskRun,
    link: text(field(content, "link")),
  };
}
