import { Button, MultiSelect, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";

import { act, useLive } from "../../app/live";
import { useSession } from "../../app/session";
import { Command } from "../../components/basics";
import { AGENT_CONFIGS, CREATE_AGENT_CONFIG, FLOW_CHOICES, FLOW_NAMES, SECRETS } from "./documents";

/** Flows by their groups' ids: those that were chosen, and those whose name has the text that was typed. */
function useFlowOptions(chosen: readonly string[], text: string): { value: string; label: string }[] {
  const { may } = useSession();
  const enabled = may("read:flow");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const like = `%${asked.replace(/[\\%_]/g, "\\$&")}%`;
  const found = useLive(FLOW_CHOICES, { like }, { enabled, keep: true });
  const named = useLive(FLOW_NAMES, { ids: [...chosen] }, { enabled: enabled && chosen.length > 0, keep: true });
  const names = new Map<string, string>(chosen.map((id) => [id, id]));
  for (const { id, name } of [...(named.data?.flow_group ?? []), ...(found.data?.flow_group ?? [])]) names.set(id, name);
  return [...names].map(([value, label]) => ({ value, label }));
}

type Many = { label: string; description: string; chosen: string[]; choose: (ids: string[]) => void };

/** Several flows, found by name. */
export function FlowChoices({ label, description, chosen, choose }: Many) {
  const [text, setText] = useState("");
  const data = useFlowOptions(chosen, text);
  return (
    <MultiSelect label={label} description={description} data={data} value={chosen} onChange={choose} searchable searchValue={text} onSearchChange={setText} nothingFoundMessage="No flow has this name." />
  );
}

/** One flow, found by name, or none. */
export function FlowChoice({ label, description, chosen, choose }: { label: string; description?: string | undefined; chosen: string; choose: (id: string) => void }) {
  const [text, setText] = useState("");
  const data = useFlowOptions(chosen === "" ? [] : [chosen], text);
  return (
    <Select label={label} description={description} data={data} value={chosen === "" ? null : chosen} onChange={(id) => choose(id ?? "")} searchable onSearchChange={setText} clearable nothingFoundMessage="No flow has this name." />
  );
}

/** A secret by its name; its value is never here. Who may not list them types the name. */
export function SecretChoice({ label, required, chosen, choose }: { label: string; required: boolean; chosen: string; choose: (name: string) => void }) {
  const { may } = useSession();
  const listed = may("read:secret");
  const { data } = useLive(SECRETS, {}, { enabled: listed });
  if (!listed) return <TextInput label={label} withAsterisk={required} value={chosen} onChange={(event) => choose(event.currentTarget.value)} />;
  const names = [...new Set([...(data?.secret_names ?? []), ...(chosen === "" ? [] : [chosen])])];
  return (
    <Select
      label={label}
      withAsterisk={required}
      description={names.length === 0 ? "There are no secrets yet: set one on the page KV and secrets." : undefined}
      data={names}
      value={chosen === "" ? null : chosen}
      onChange={(name) => choose(name ?? "")}
      searchable
      clearable
    />
  );
}

/** Groups of agents: those that were started with the same config. A new one is made here. */
export function AgentConfigChoices({ chosen, choose }: { chosen: string[]; choose: (ids: string[]) => void }) {
  const { may } = useSession();
  const query = useLive(AGENT_CONFIGS, {}, { enabled: may("read:agent") });
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const known = query.data?.agent_config ?? [];
  const options = new Map<string, string>(chosen.map((id) => [id, id]));
  for (const each of known) options.set(each.id, `${each.name ?? each.id} (${each.agents.length} agents)`);
  const make = async () => {
    try {
      const { create_agent_config: made } = await act(CREATE_AGENT_CONFIG, { name: name.trim() });
      if (made?.id) choose([...chosen, made.id]);
      setName("");
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <>
      <MultiSelect
        label="Agents that share a config"
        description="It happens when none of them has asked for work for five minutes."
        data={[...options].map(([value, label]) => ({ value, label }))}
        value={chosen}
        onChange={choose}
      />
      {may(CREATE_AGENT_CONFIG) && (
        <div className="row" style={{ alignItems: "flex-end" }}>
          <TextInput label="Or a new config, by name" value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Button variant="default" disabled={name.trim() === ""} onClick={() => void make()}>
            Make it
          </Button>
        </div>
      )}
      {error && <p className="note fails" role="alert">{error}</p>}
      {chosen[0] !== undefined && (
        <div className="small">
          Start its agents with:
          <Command text={`prefect agent local start --agent-config-id ${chosen[0]}`} />
        </div>
      )}
    </>
  );
}
