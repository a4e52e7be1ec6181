/** A gateway that answers by the name of an operation, and remembers what it was asked. */

export type Variables = Record<string, unknown>;
type Answer = object | ((variables: Variables) => unknown);
export type Answers = Record<string, Answer>;

/** What an operation is refused with: the sentence, and the code of the API. */
export class Refusal {
  constructor(
    readonly message: string,
    readonly code = "REFUSED",
  ) {}
}

export class StandIn {
  readonly asked: { name: string; variables: Variables; body: string }[] = [];

  constructor(readonly answers: Answers) {}

  /** What was asked of this operation, the newest last. */
  of(name: string): Variables[] {
    return this.asked.filter((each) => each.name === name).map((each) => each.variables);
  }

  readonly fetch = async (_address: unknown, init?: RequestInit): Promise<Response> => {
    const body = String(init?.body);
    const { query, variables } = JSON.parse(body) as { query: string; variables: Variables };
    const name = /(?:query|mutation)\s+(\w+)/.exec(query)?.[1] ?? "";
    this.asked.push({ name, variables, body });
    const answer = this.answers[name] ?? new Refusal(`nothing answers ${name}`);
    const data: unknown = typeof answer === "function" ? await (answer as (variables: Variables) => unknown)(variables) : answer;
    const answered = data instanceof Refusal ? { data: null, errors: [{ message: data.message, extensions: { code: data.code } }] } : { data };
    return new Response(typeof data === "string" ? `{"data":${data}}` : JSON.stringify(answered), { headers: { "content-type": "application/json" } });
  };
}
