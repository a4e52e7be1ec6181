import { Button, Chip, Group, Menu, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { graphql } from "../api/generated";
import { useLive } from "../app/live";
import { usePreferences } from "../app/preferences";
import type { RunFilters } from "../lib/filters";
import { FAMILIES, FAMILY_NAMES, type Family } from "../lib/states";
import { absolute } from "../lib/time";
import { Ask } from "./Dialog";
import { BUILT_IN, nameOf, viewsFrom, withView, type View } from "../lib/views";

const PROJECTS = graphql(`
  query ProjectNames {
    project(order_by: [{ name: asc }], limit: 500) {
      id
      name
    }
  }
`);

/** What the list is filtered by. All of it is in the address; a change goes to the top of the list. */
export function Filters({ filters, tenant }: { filters: RunFilters; tenant: string }) {
  const navigate = useNavigate({ from: "/$slug/runs" });
  const { zone } = usePreferences();
  const projects = useLive(PROJECTS, {});
  const set = (changed: Partial<Record<keyof RunFilters, unknown>>, replace = false) => {
    const next = Object.fromEntries(
      Object.entries({ ...filters, ...changed }).filter(([, value]) => value !== undefined && value !== null && value !== ""),
    );
    void navigate({ search: next as RunFilters, replace });
  };
  return (
    <div className="card" style={{ marginBottom: 12 }} role="search" aria-label="Filter the runs">
      <div className="row">
        <Typed label="Name or id" placeholder="Name of a run or flow, or an id" flex="2 1 220px" value={filters.q ?? ""} change={(q) => set({ q }, true)} />
        <Typed label="Label" placeholder="Label" flex="1 1 100px" value={filters.label ?? ""} change={(label) => set({ label }, true)} />
        <Select
          aria-label="Project"
          placeholder="All projects"
          clearable
          searchable
          data={(projects.data?.project ?? []).map((each) => ({ value: each.id, label: each.name }))}
          value={filters.project ?? null}
          onChange={(project) => set({ project })}
          style={{ flex: "1 1 160px" }}
        />
        <Select
          aria-label="When"
          placeholder="Any time"
          clearable
          data={[
            { value: "1", label: "Changed in the last hour" },
            { value: "24", label: "Changed in 24 hours" },
            { value: "168", label: "Changed in 7 days" },
            { value: "720", label: "Changed in 30 days" },
          ]}
          value={filters.hours ? String(filters.hours) : null}
          onChange={(hours) => set({ hours: hours ? Number(hours) : undefined })}
          style={{ flex: "1 1 180px" }}
        />
        <Views filters={filters} tenant={tenant} />
      </div>
      <div className="row" style={{ marginTop: 12 }}>
        <Chip.Group
          multiple
          value={filters.is ?? []}
          onChange={(is) => set({ is: is.length ? (is as (Family | "late")[]) : undefined })}
        >
          <Group gap="xs">
            {(["late", ...FAMILIES] as const).map((kind) => (
              <Chip key={kind} value={kind} size="xs" variant="outline">
                {kind === "late" ? "Late" : FAMILY_NAMES[kind]}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
        {(filters.from ?? filters.to) && (
          <Button size="compact-xs" variant="light" onClick={() => set({ from: undefined, to: undefined })}>
            due {filters.from && absolute(Date.parse(filters.from), zone).slice(0, 16)} to {filters.to && absolute(Date.parse(filters.to), zone).slice(0, 16)} ✕
          </Button>
        )}
        {filters.flow && (
          <Button size="compact-xs" variant="light" onClick={() => set({ flow: undefined })}>
            one flow only ✕
          </Button>
        )}
      </div>
    </div>
  );
}

type TypedProps = { label: string; placeholder: string; flex: string; value: string; change: (text: string) => void };

/**
 * A field whose text goes into the address a moment after the last letter: half a word is no place to go back to. What
 * comes back from there is not put over what was typed meanwhile; what others put there, as Back does, is taken over.
 */
function Typed({ label, placeholder, flex, value, change }: TypedProps) {
  const [text, setText] = useState(value);
  const underWay = useRef<string[]>([]);
  useEffect(() => {
    const at = underWay.current.lastIndexOf(value);
    if (at < 0) setText(value);
    underWay.current = underWay.current.slice(at + 1);
  }, [value]);
  const changeSoon = useDebouncedCallback((next: string) => {
    if (next === value) return;
    underWay.current.push(next);
    change(next);
  }, 300);
  return (
    <TextInput
      aria-label={label}
      placeholder={placeholder}
      value={text}
      style={{ flex }}
      onChange={(event) => {
        setText(event.currentTarget.value);
        changeSoon(event.currentTarget.value.trim());
      }}
    />
  );
}

const keyOf = (tenant: string) => `headwater-views ${tenant}`;

function stored(tenant: string): View[] {
  try {
    return viewsFrom(localStorage.getItem(keyOf(tenant)));
  } catch {
    return [];
  }
}

/** Filters under a name: the usual ones, and those that somebody saved in this browser. */
function Views({ filters, tenant }: { filters: RunFilters; tenant: string }) {
  const navigate = useNavigate({ from: "/$slug/runs" });
  const [views, setViews] = useState(() => stored(tenant));
  const [name, setName] = useState<string | null>(null);
  const keep = (next: View[]) => {
    setViews(next);
    try {
      localStorage.setItem(keyOf(tenant), JSON.stringify(next));
    } catch {
      // A browser that stores nothing forgets it with the page.
    }
  };
  const all = [...BUILT_IN, ...views];
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default">
            {nameOf(all, filters) ?? "Views"} ▾
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {all.map((view) => (
            <Menu.Item key={view.name} onClick={() => void navigate({ search: view.filters })}>
              {view.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={() => setName("")}>Save these filters…</Menu.Item>
          {views.map((view) => (
            <Menu.Item key={view.name} onClick={() => keep(views.filter((each) => each !== view))}>
              Forget “{view.name}”
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {name !== null && (
        <Ask
          title="Save these filters"
          label="Save"
          close={() => setName(null)}
          go={async () => keep(withView(views, { name: name.trim(), filters }))}
          isReady={name.trim() !== ""}
        >
          <TextInput label="Name" description="It is kept in this browser. The address does the same for others." value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
        </Ask>
      )}
    </>
  );
}
