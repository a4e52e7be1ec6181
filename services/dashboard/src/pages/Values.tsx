import { Button, JsonInput, PasswordInput, TextInput } from "@mantine/core";
import { useState, type ReactNode } from "react";

import { parseJson, writeJson } from "../api/json";
import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Card, Command, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Json } from "../components/Parameters";

const VALUES = graphql(`
  query Values {
    key_value(order_by: [{ key: asc }], limit: 1000) {
      id
      key
      value
      updated
    }
  }
`);
const SECRETS = graphql(`
  query SecretNames {
    secret_names
  }
`);
const SET_KV = graphql(`mutation SetValue($key: String!, $value: JSON!) { set_key_value(input: { key: $key, value: $value }) { id } }`);
const DELETE_KV = graphql(`mutation DeleteValue($id: UUID!) { delete_key_value(input: { key_value_id: $id }) { success error } }`);
const SET_SECRET = graphql(`mutation SetSecret($name: String!, $value: JSON!) { set_secret(input: { name: $name, value: $value }) { success error } }`);
const DELETE_SECRET = graphql(`mutation DeleteSecret($name: String!) { delete_secret(input: { name: $name }) { success error } }`);

/** Values that flows share: the KV store to read, secrets by name only. */
export function Values() {
  const { may } = useSession();
  const [seesValues, seesSecrets] = [may("read:key-value"), may("read:secret")];
  return (
    <Page title="KV and secrets">
      <div className="grid">
        {seesValues && <KeyValues />}
        {seesSecrets && <Secrets />}
        {!seesValues && !seesSecrets && <Empty title="Your role shows neither.">It lacks read:key-value and read:secret.</Empty>}
      </div>
    </Page>
  );
}

function KeyValues() {
  const { may } = useSession();
  const query = useLive(VALUES, {});
  return (
    <Card title="KV store" span={6}>
      <Loaded query={query}>
        {(data) => (
          <>
            {data.key_value.length === 0 && (
              <Empty title="The KV store is empty.">
                <span>Small values that flows keep between runs. In a flow:</span>
                <Command text='from prefect.backend import set_key_value; set_key_value("day", "2026-11-30")' />
              </Empty>
            )}
            {data.key_value.map((each) => (
              <details key={each.id} className="item">
                <summary>
                  <b>{each.key}</b>
                  <code className="cut quiet" style={{ flex: "1 1 120px" }}>
                    {writeJson(each.value, 0).slice(0, 120)}
                  </code>
                  <span className="small quiet">
                    <When at={each.updated} />
                  </span>
                </summary>
                <Json value={each.value} label={each.key} />
                {may(DELETE_KV) && (
                  <Confirmed label="Delete" title={`Delete ${each.key}?`} danger run={() => act(DELETE_KV, { id: each.id })}>
                    <p>Flows that read it fail from then on.</p>
                  </Confirmed>
                )}
              </details>
            ))}
          </>
        )}
      </Loaded>
      {may(SET_KV) && <SetValue />}
    </Card>
  );
}

function Secrets() {
  const { may } = useSession();
  const query = useLive(SECRETS, {});
  return (
    <Card title="Secrets" span={6}>
      <Loaded query={query}>
        {(data) => (
          <>
            {data.secret_names.length === 0 && (
              <Empty title="There are no secrets.">
                <span>Set one below. A flow reads it by its name:</span>
                <Command text={'PrefectSecret("WAREHOUSE_PASSWORD")'} />
              </Empty>
            )}
            <table className="table">
              <tbody>
                {data.secret_names.map((name) => (
                  <tr key={name}>
                    <td>{name}</td>
                    <td className="acts">
                      {may(DELETE_SECRET) && (
                        <Confirmed label="Delete" title={`Delete ${name}?`} danger word={name} run={() => act(DELETE_SECRET, { name })}>
                          <p>Flows that read it fail from then on. Nothing brings it back.</p>
                        </Confirmed>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        )}
      </Loaded>
      {may(SET_SECRET) && <SetSecret />}
    </Card>
  );
}

function Setting({ label, ready, set, children }: { label: string; ready: boolean; set: () => Promise<unknown>; children: ReactNode }) {
  const [error, setError] = useState<string | null>(null);
  return (
    <form
      className="form footer-form"
      onSubmit={(event) => {
        event.preventDefault();
        set().then(
          () => setError(null),
          (reason: Error) => setError(reason.message),
        );
      }}
    >
      {children}
      {error && <p className="message" role="alert">{error}</p>}
      <Button type="submit" disabled={!ready} style={{ justifySelf: "start" }}>
        {label}
      </Button>
    </form>
  );
}

function SetValue() {
  const [key, setKey] = useState("");
  const [text, setText] = useState("");
  const set = async () => {
    await act(SET_KV, { key: key.trim(), value: parseJson(text) });
    setKey("");
    setText("");
  };
  return (
    <Setting label="Set the value" ready={key.trim() !== "" && text.trim() !== ""} set={set}>
      <TextInput label="Key" value={key} onChange={(event) => setKey(event.currentTarget.value)} />
      <JsonInput label="Value as JSON" value={text} onChange={setText} autosize minRows={2} validationError="This is not JSON; text needs quotes" />
    </Setting>
  );
}

function SetSecret() {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const set = async () => {
    await act(SET_SECRET, { name: name.trim(), value });
    setName("");
    setValue("");
  };
  return (
    <Setting label="Set the secret" ready={name.trim() !== "" && value !== ""} set={set}>
      <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} autoComplete="off" />
      <PasswordInput label="Value" value={value} onChange={(event) => setValue(event.currentTarget.value)} autoComplete="new-password" />
    </Setting>
  );
}
