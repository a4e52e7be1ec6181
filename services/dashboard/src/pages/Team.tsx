import { Button, Select, TextInput } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../api/generated";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Card, Confirmed, Copy, Empty, Loaded, Page, When } from "../components/basics";

const KEYS = graphql(`
  query Keys {
    auth_api_key(limit: 500) {
      id
      name
      role
      created
      expires_at
    }
    membership(limit: 500) {
      id
      role
      created
      user {
        id
        username
      }
    }
  }
`);
const AUDIT = graphql(`
  query Audit {
    audit_log(order_by: [{ timestamp: desc }], limit: 100) {
      id
      actor
      message
      object_table
      timestamp
    }
  }
`);
const CREATE = graphql(`
  mutation CreateKey($name: String!, $role: String!, $expires: DateTime) {
    create_api_key(input: { name: $name, role: $role, expires_at: $expires }) {
      id
      key
    }
  }
`);
const DELETE = graphql(`mutation DeleteKey($id: UUID!) { delete_api_key(input: { key_id: $id }) { success error } }`);
const ROLES = [
  { value: "user", label: "User: reads and changes" },
  { value: "read_only", label: "Read only" },
  { value: "agent", label: "Agent: takes and reports runs" },
  { value: "tenant_admin", label: "Administrator: keys and members too" },
];

/** Who may what, and who did what. */
export function Team() {
  const { role } = useSession();
  const keys = useLive(KEYS, {});
  const audit = useLive(AUDIT, {});
  const isAdmin = role === "tenant_admin";
  return (
    <Page title="Team">
      <div className="grid">
        <Card title="API keys" span={8}>
          <Loaded query={keys}>
            {({ auth_api_key: found }) => (
              <>
                {found.length === 0 && <Empty title="There are no keys.">Where keys are off, nobody needs one.</Empty>}
                <table className="table">
                  <tbody>
                    {found.map((each) => (
                      <tr key={each.id}>
                        <td>{each.name}</td>
                        <td>{each.role}</td>
                        <td>
                          made <When at={each.created} />
                        </td>
                        <td>{each.expires_at ? <>ends <When at={each.expires_at} /></> : "does not end"}</td>
                        <td>
                          {isAdmin && (
                            <Confirmed label="Revoke" title={`Revoke ${each.name}?`} danger word={each.name} run={() => act(DELETE, { id: each.id })}>
                              <p>Whoever uses it is refused within a second.</p>
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
          {isAdmin && <NewKey />}
        </Card>
        <Card title="Members" span={4}>
          <Loaded query={keys}>
            {({ membership }) =>
              membership.length === 0 ? (
                <Empty title="There are no members." />
              ) : (
                <table className="table">
                  <tbody>
                    {membership.map((each) => (
                      <tr key={each.id}>
                        <td>{each.user.username}</td>
                        <td>{each.role}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )
            }
          </Loaded>
        </Card>
        <Card title="Who did what">
          <Loaded query={audit}>
            {({ audit_log: found }) =>
              found.length === 0 ? (
                <Empty title="Nothing is in the audit trail yet." />
              ) : (
                <div className="scroll">
                  <table className="table">
                    <tbody>
                      {found.map((each) => (
                        <tr key={each.id}>
                          <td>
                            <When at={each.timestamp} both />
                          </td>
                          <td>{each.actor}</td>
                          <td>{each.message}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )
            }
          </Loaded>
        </Card>
      </div>
    </Page>
  );
}

function NewKey() {
  const [name, setName] = useState("");
  const [role, setRole] = useState("user");
  const [until, setUntil] = useState("");
  const [made, setMade] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const create = async () => {
    try {
      const expires = until ? new Date(`${until}T00:00:00`).toISOString() : null;
      const { create_api_key: key } = await act(CREATE, { name: name.trim(), role, expires });
      setMade(key?.key ?? null);
      setName("");
      setError(null);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return (
    <>
      <form
        className="row"
        style={{ marginTop: 16, alignItems: "flex-end" }}
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <TextInput label="Name of a new key" value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select label="Role" data={ROLES} value={role} onChange={(chosen) => chosen && setRole(chosen)} allowDeselect={false} />
        <TextInput type="date" label="Ends (empty: never)" value={until} onChange={(event) => setUntil(event.currentTarget.value)} />
        <Button type="submit" disabled={name.trim() === ""}>
          Make a key
        </Button>
      </form>
      {error && <p className="message" role="alert">{error}</p>}
      {made && (
        <div className="message" role="status" style={{ borderLeftColor: "var(--success)", marginTop: 12 }}>
          <p>This is the key. It is shown once: copy it now.</p>
          <span className="row">
            <code className="command">{made}</code>
            <Copy text={made} label="Copy the key" />
            <Button size="compact-xs" variant="subtle" onClick={() => setMade(null)}>
              I have it
            </Button>
          </span>
        </div>
      )}
    </>
  );
}
