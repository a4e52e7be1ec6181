import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { Search } from "../../src/app/Search";
import type { Answers } from "../support/gateway";
import { show } from "../support/show";

const RUN = "0190a2b3-0000-7000-8000-000000000001";
const none = { flow: [], flow_run: [], project: [] };

async function opened(answers: Answers) {
  const shown = await show(<Search slug="acme" />, { answers });
  await shown.user.click(await screen.findByRole("button", { name: /Search/ }));
  const box = await screen.findByLabelText<HTMLInputElement>("Name or id");
  await waitFor(() => expect(document.activeElement).toBe(box));
  return { ...shown, box };
}

describe("the search for anything", () => {
  it("goes to what an id is when Enter comes before the answer", async () => {
    let answer: (found: object) => void = () => undefined;
    const asked = new Promise<object>((resolve) => (answer = resolve));
    const { user, history, gateway, box } = await opened({ SearchById: () => asked });
    fireEvent.change(box, { target: { value: RUN } });
    await user.keyboard("{Enter}");
    expect(history.location.pathname).toBe("/acme/");
    await waitFor(() => expect(gateway.of("SearchById")).toHaveLength(1));
    answer({ flow: [], flow_run_by_pk: { id: RUN, name: "a run", state: "Failed" }, task_run_by_pk: null });
    await waitFor(() => expect(history.location.pathname).toBe(`/acme/flow-run/${RUN}`));
  });

  it("never goes to what was found for another text", async () => {
    const flow = (name: string) => ({ id: name, name, flow_group_id: name, project: null });
    const { user, history, box } = await opened({ Search: ({ like }) => ({ ...none, flow: [flow(String(like).replaceAll("%", ""))] }) });
    fireEvent.change(box, { target: { value: "orders" } });
    await screen.findByRole("option", { name: /orders/ });
    fireEvent.change(box, { target: { value: "invoices" } });
    await user.keyboard("{Enter}");
    await waitFor(() => expect(history.location.pathname).toBe("/acme/flow/invoices"));
  });

  it("goes to a page by a part of its name", async () => {
    const { user, history, box } = await opened({ Search: none });
    fireEvent.change(box, { target: { value: "proj" } });
    await user.keyboard("{Enter}");
    await waitFor(() => expect(history.location.pathname).toBe("/acme/projects"));
  });
});
