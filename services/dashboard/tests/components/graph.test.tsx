import { screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { Graph } from "../../src/components/Graph";
import { show } from "../support/show";

const FLOW = "0190a2b3-0000-7000-8000-000000000001";
const idOf = (kind: string, number: number) => `${kind}190a2b3-0000-7000-8000-${String(number).padStart(12, "0")}`;
const tasks = Array.from({ length: 400 }, (_, at) => ({ id: idOf("a", at), name: `task-${at}`, slug: `task-${at}`, mapped: false }));
const edges = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({ id: idOf("e", from + at), upstream_task_id: idOf("a", (from + at) % 200), downstream_task_id: idOf("a", 200 + ((from + at) % 199)) }));

/** What the worker was given to lay out. */
const laidOut: { ids: string[]; edges: unknown[] }[] = [];

beforeEach(() => {
  laidOut.length = 0;
  vi.stubGlobal(
    "Worker",
    class {
      postMessage(data: { ids: string[]; edges: unknown[] }) {
        laidOut.push(data);
      }
      terminate() {}
    },
  );
});

describe("the graph of a flow", () => {
  it("has every dependency, also where they are more than one answer may have", async () => {
    const { gateway } = await show(<Graph slug="acme" flowId={FLOW} />, {
      answers: {
        GraphOf: { task: tasks, edge: edges(0, 10_000) },
        MoreEdgesOfGraph: ({ after }) => ({ edge: after === idOf("e", 9_999) ? edges(10_000, 12_345) : [] }),
      },
    });
    await waitFor(() => expect(laidOut).toHaveLength(1));
    expect(laidOut[0]?.edges).toHaveLength(12_345);
    expect(screen.getByRole("group", { name: /400 tasks and 12,345 dependencies/ })).toBeTruthy();
    expect(gateway.of("MoreEdgesOfGraph")).toHaveLength(1);
    expect(gateway.of("MoreTasksOfGraph")).toHaveLength(0);
    expect(screen.queryByText(/larger than a graph can show/)).toBeNull();
  });

  it("says what is drawn of a flow that is larger than anybody could look at", async () => {
    await show(<Graph slug="acme" flowId={FLOW} />, {
      answers: { GraphOf: { task: tasks, edge: edges(0, 10_000) }, MoreEdgesOfGraph: () => ({ edge: edges(0, 10_000) }) },
    });
    expect(await screen.findByText(/Drawn are its first 400 tasks and 100,000 dependencies/)).toBeTruthy();
  });
});
