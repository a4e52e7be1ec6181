import { Button, Modal, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { request } from "../api/client";
import { graphql } from "../api/generated";
import { State } from "../components/State";
import { placesFor } from "./places";
import { useSession, type Session } from "./session";

const SEARCH = graphql(`
  query Search($like: String!) {
    flow(
      where: { name: { _ilike: $like }, archived: { _eq: false } }
      order_by: [{ updated: desc }]
      limit: 6
    ) {
      id
      name
      flow_group_id
      project {
        name
      }
    }
    flow_run(where: { name: { _ilike: $like } }, order_by: [{ updated: desc }], limit: 6) {
      id
      name
      state
      flow {
        name
      }
    }
    project(where: { name: { _ilike: $like } }, limit: 4) {
      id
      name
    }
  }
`);
const BY_ID = graphql(`
  query SearchById($id: uuid!) {
    flow(where: { _or: [{ id: { _eq: $id } }, { flow_group_id: { _eq: $id } }] }, limit: 1) {
      id
      name
      flow_group_id
    }
    flow_run_by_pk(id: $id) {
      id
      name
      state
    }
    task_run_by_pk(id: $id) {
      id
      name
      state
    }
  }
`);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

type Found = { key: string; name: string; kind: string; note: string; state?: string; to: string };

async function search(text: string, slug: string, signal: AbortSignal): Promise<Found[]> {
  const at = (path: string) => `/${slug}/${path}`;
  if (UUID.test(text)) {
    const { flow, flow_run_by_pk: run, task_run_by_pk: task } = await request(BY_ID, { id: text }, signal);
    const found: Found[] = flow.map((each) => ({
      key: each.id, name: each.name, kind: "Flow", note: "", to: at(`flow/${each.flow_group_id}`),
    }));
    if (run) found.push({ key: run.id, name: run.name, kind: "Run", note: "", state: run.state, to: at(`flow-run/${run.id}`) });
    if (task) {
      found.push({
        key: task.id, name: task.name ?? "Task run", kind: "Task run", note: "", state: task.state, to: at(`task-run/${task.id}`),
      });
    }
    return found;
  }
  const like = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  const { flow, flow_run, project } = await request(SEARCH, { like }, signal);
  return [
    ...flow.map((each) => ({
      key: each.id, name: each.name, kind: "Flow", note: each.project?.name ?? "", to: at(`flow/${each.flow_group_id}`),
    })),
    ...flow_run.map((each) => ({
      key: each.id, name: each.name, kind: "Run", note: each.flow?.name ?? "", state: each.state, to: at(`flow-run/${each.id}`),
    })),
    ...project.map((each) => ({
      key: each.id, name: each.name, kind: "Project", note: "", to: at(`flows?project=${each.id}`),
    })),
  ];
}

/** The pages of the dashboard whose name has this text in it; all of them before anything is typed. */
function pagesOf(text: string, slug: string, may: Session["may"]): Found[] {
  return placesFor(may).filter(([name]) => name.toLowerCase().includes(text.toLowerCase())).map(([name, to, key]) => ({
    key: name, name, kind: "Page", note: `g ${key}`, to: to.replace("$slug", slug),
  }));
}

/** The box, and what it finds. It keeps its text for as long as the page stays, and forgets it with the step to what was found. */
export function SearchDialog({ slug, opened, close }: { slug: string; opened: boolean; close: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [asked] = useDebouncedValue(text.trim(), 200);
  const navigate = useNavigate();
  const { may } = useSession();
  // One document asks for all of them.
  const mayFind = may("read:flow", "read:run", "read:project");
  const found = useQuery({
    queryKey: ["search", slug, asked],
    queryFn: ({ signal }) => search(asked, slug, signal),
    enabled: opened && mayFind && asked.length > 1,
    placeholderData: (previous) => previous,
  });
  // What stands in the list belongs to what stands in the box; of a text that is still typed it does not.
  const isCurrent = asked === text.trim() && (asked.length < 2 || !mayFind || (!found.isPending && !found.isPlaceholderData));
  const [isEntered, setIsEntered] = useState(false);
  const results = [...(asked.length > 1 ? (found.data ?? []) : []), ...pagesOf(text.trim(), slug, may)];
  const go = (to: string) => {
    close();
    setText("");
    void navigate({ to });
  };
  // Who pressed Enter before the answer came goes to what it finds.
  useEffect(() => {
    if (!isEntered || !isCurrent) return;
    setIsEntered(false);
    const to = results[chosen]?.to;
    if (to !== undefined) go(to);
  });
  return (
    <Modal opened={opened} onClose={close} title="Search" size="lg">
      <TextInput
        aria-label="Name or id"
        placeholder={mayFind ? "Name or id of a flow, run, task run or project" : "Name of a page"}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
          setIsEntered(false);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setChosen((at) => Math.min(at + 1, results.length - 1));
          else if (event.key === "ArrowUp") setChosen((at) => Math.max(at - 1, 0));
          else if (event.key === "Enter") setIsEntered(true);
          else return;
          event.preventDefault();
        }}
        data-autofocus
      />
      <div role="listbox" aria-label="Found" style={{ marginTop: 12 }}>
        {results.map((each, index) => (
          <Button
            key={each.key}
            role="option"
            aria-selected={index === chosen}
            fullWidth
            variant={index === chosen ? "light" : "subtle"}
            justify="space-between"
            rightSection={each.state ? <State state={each.state} /> : <span className="small">{each.kind}</span>}
            onClick={() => go(each.to)}
          >
            {each.name} <span className="quiet small">&nbsp;{each.note}</span>
          </Button>
        ))}
        {asked.length > 1 && found.isSuccess && results.length === 0 && <p className="quiet">Nothing has this name, and no page is called so.</p>}
      </div>
    </Modal>
  );
}
