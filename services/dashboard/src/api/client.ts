import { parseJson } from "./json";
import type { TypedDocumentString } from "./generated/graphql";

/** Where the gateway is: the base of the page, which the gateway writes into `index.html`. Ends with a slash. */
export const BASE = new URL(document.baseURI).pathname.replace(/[^/]*$/, "");

/**
 * Why there was no answer. `unreachable`: nothing came from the gateway. `away`: what it needs does not answer it. `slow`:
 * the database took too long. `busy`: it takes no more now. The others are answers, and asking again changes nothing.
 */
export type Kind = "refused" | "unauthenticated" | "unreachable" | "away" | "slow" | "busy";

/** What the gateway refused, or why it could not be asked. `kind` says what the page can do about it. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly kind: Kind,
  ) {
    super(message);
  }
}

let tenant: string | null = null;

/** Name the tenant of all further requests; without keys a caller has none of its own. */
export function actAs(tenantId: string | null): void {
  tenant = tenantId;
}

/** What says whose request it is, and that a page of ours sends it. */
export function headersOf(tenantId: string | null = tenant): Record<string, string> {
  return { "x-headwater": "dashboard", ...(tenantId === null ? {} : { "x-prefect-tenant-id": tenantId }) };
}

/** Milliseconds after which an answer is not waited for any more: the gateway gives up on its own after ten seconds. */
const PATIENCE = 30_000;

type Answer<Data> = {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string } }[];
};

/** Send one operation; its data. Raises `ApiError` with a sentence for a person. */
export async function request<Data, Variables>(
  operation: TypedDocumentString<Data, Variables>,
  variables?: Variables,
  signal?: AbortSignal,
): Promise<Data> {
  const patience = AbortSignal.timeout(PATIENCE);
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`${BASE}graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headersOf() },
      credentials: "same-origin",
      body: JSON.stringify({ query: operation.toString(), variables: variables ?? {} }),
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (patience.aborted) throw new ApiError(`Headwater did not answer within ${PATIENCE / 1000} seconds.`, "unreachable");
    throw new ApiError("Headwater cannot be reached.", "unreachable");
  }
  return dataOf<Data>(answer.status, text);
}

const KIND_OF_CODE: Record<string, Kind> = { API_ERROR: "away", STATEMENT_TIMEOUT: "slow" };

function dataOf<Data>(status: number, text: string): Data {
  let answer: Answer<Data>;
  try {
    answer = parseJson(text) as Answer<Data>;
  } catch {
    throw new ApiError(`Headwater answered ${status} with something that is not JSON.`, "unreachable");
  }
  const [first] = answer.errors ?? [];
  if (first === undefined && answer.data) return answer.data;
  const message = first?.message ?? `Headwater answered ${status}.`;
  if (status === 401 || first?.extensions?.code === "UNAUTHENTICATED") {
    throw new ApiError(message, "unauthenticated");
  }
  if (status === 429 || status === 503) throw new ApiError(message, "busy");
  throw new ApiError(message, KIND_OF_CODE[first?.extensions?.code ?? ""] ?? "refused");
}
