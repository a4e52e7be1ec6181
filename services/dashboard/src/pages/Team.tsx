import { Button, Select, TextInput } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../api/generated";
import type { GuestsQuery, KeysQuery } from "../api/generated/graphql";
import { act, useLive } from "../app/live";
import { useSession } from "../app/session";
import { Card, Command, Copy, Empty, Loaded, Page, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Fact, Facts } from "../components/Facts";
import { Table } from "../components/Table";
import { roleName } from "../lib/roles";
import { Invitations, People } from "./team/People";
import { Roles, useRoleChoices } from "./team/Roles";

const KEYS = graphql(`
  query Keys {
    auth_api_key(limit: 500) {
      id
      name
      role
      created
      expires_at
      created_by {
        username
      }
    }
  }
`);
const GUESTS = graphql(`
  query Guests {
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
  query Audit($limit: Int!) {
    audit_log(order_by: [{ timestamp: desc }], limit: $limit) {
      id
      actor
      message
      object_table
      object_id
      timestamp
    }
  }
`);
const CREATE = graphql(`
  mutation CreateKey($name: String!, $role: UUID!, $expires: DateTime) {
    create_api_key(input: { name: $name, role_id: $role, expires_at: $expires }) {
      id
      key
    }
  }
`);
const DELETE = graphql(`mutation DeleteKey($id: UUID!) { delete_api_key(input: { key_id: $id }) { success error } }`);
const LET_IN = graphql(`
  mutation LetIn($user: UUID!, $home: UUID!, $role: UUID!) {
    create_membership(input: { user_id: $user, home_tenant_id: $home, role_id: $role }) {
      id
    }
  }
`);
const LET_OUT = graphql(`mutation LetOut($id: UUID!) { delete_membership(input: { membership_id: $id }) { success error } }`);
const PAGE = 100;

/** Who may what, and who did what. */
export function Team() {
  const { role, may } = useSession();
  const [seesKeys, seesGuests, seesTrail] = [may("read:api-key"), may("update:membership"), may("read:audit-trail")];
  return (
    <Page title="Team">
      <div className="grid">
        {seesKeys && <KeysCard />}
        {seesGuests && <GuestsCard />}
        {may("read:user") && <People />}
        {may("read:membership-invitation", "create:membership-invitation") && <Invitations />}
        {may("read:role") && <Roles />}
        {seesTrail && (
          <Card title="Who did what">
            <Trail />
          </Card>
        )}
        {!(seesKeys && seesGuests && seesTrail) && (
          <Card title="You" span={6}>
            <Facts>
              <Fact name="Your key's role">{roleName(role)}</Fact>
              <Fact name="Seen here">Keys, members and the audit trail are shown to those whose role reads them.</Fact>
            </Facts>
          </Card>
        )}
      </div>
    </Page>
  );
}

function KeysCard() {
  const { may } = useSession();
  const query = useLive(KEYS, {});
  return (
    <Card title="API keys" span={8}>
      <Loaded query={query}>{({ auth_api_key: keys }) => <Keys keys={keys} />}</Loaded>
      {may(CREATE) && <NewKey />}
    </Card>
  );
}

function GuestsCard() {
  const { may } = useSession();
  const query = useLive(GUESTS, {});
  return (
    <Card title="Members of other tenants" span={4}>
      <Loaded query={query}>{({ membership: members }) => <Members members={members} />}</Loaded>
      {may(LET_IN) && <NewMember />}
    </Card>
  );
}

function Keys({ keys }: { keys: KeysQuery["auth_api_key"] }) {
  const { may } = useSession();
  if (keys.length === 0) {
    return (
      <Empty title="There are no keys.">
        <span>Where keys are off nobody needs one. To switch them on, make the first one and start again:</span>
        <Command text="make keys" />
      </Empty>
    );
  }
  return (
    <Table
      rows={keys}
      keyOf={(each) => each.id}
      columns={[
        { name: "Name", cell: (each) => <b>{each.name}</b> },
        { name: "Role", cell: (each) => roleName(each.role) },
        { name: "Made", cell: (each) => <When at={each.created} /> },
        { name: "By", cell: (each) => each.created_by?.username ?? <span className="quiet">–</span> },
        { name: "Ends", cell: (each) => (each.expires_at ? <When at={each.expires_at} /> : <span className="quiet">never</span>) },
        {
          name: "",
          as: "acts",
          cell: (each) =>
            may(DELETE) && (
              <Confirmed label="Revoke" title={`Revoke ${each.name}?`} danger word={each.name} run={() => act(DELETE, { id: each.id })}>
                <p>Whoever uses it is refused within a second. Nothing brings it back.</p>
              </Confirmed>
            ),
        },
      ]}
    />
  );
}

function Members({ members }: { members: GuestsQuery["membership"] }) {
  const { may } = useSession();
  if (members.length === 0) return <Empty title="Nobody of another tenant may enter.">People of this tenant come in with its keys.</Empty>;
  return (
    <table className="table">
      <tbody>
        {members.map((each) => (
          <tr key={each.id}>
            <td>
              <b>{each.user.username}</b>
            </td>
            <td>{roleName(each.role)}</td>
            <td className="acts">
              {may(LET_OUT) && (
                <Confirmed label="Remove" title={`Let ${each.user.username} in no longer?`} danger run={() => act(LET_OUT, { id: each.id })}>
                  <p>Their tokens and the keys that they made here are refused within a second.</p>
                </Confirmed>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Trail() {
  const [limit, setLimit] = useState(PAGE);
  const audit = useLive(AUDIT, { limit }, { keep: true });
  return (
    <Loaded query={audit} rows={6}>
      {({ audit_log: rows }) =>
        rows.length === 0 ? (
          <Empty title="Nothing is in the audit trail yet.">Changes and refusals are written here, with who did what and when.</Empty>
        ) : (
          <>
            <Table
              rows={rows}
              keyOf={(each) => each.id}
              columns={[
                { name: "When", cell: (each) => <When at={each.timestamp} both /> },
                { name: "Who", cell: (each) => each.actor },
                { name: "What", cell: (each) => each.message },
                {
                  name: "To",
                  as: "quiet",
                  cell: (each) => (
                    <span className="small">
                      {each.object_table?.replaceAll("_", " ")} <span className="mono">{each.object_id?.slice(0, 8)}</span>
                    </span>
                  ),
                },
              ]}
            />
            {rows.length === limit && (
              <Button mt="md" variant="default" onClick={() => setLimit(limit + PAGE)}>
                Show {PAGE} more
              </Button>
            )}
          </>
        )
      }
    </Loaded>
  );
}

function NewKey() {
  const [name, setName] = useState("");
  const [chosen, setRole] = useState("");
  const choices = useRoleChoices();
  const role = chosen === "" ? (choices.find(({ name }) => name === "USER")?.value ?? "") : chosen;
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
    <div className="footer-form">
      <form
        className="row"
        style={{ alignItems: "flex-end" }}
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <TextInput label="Name of a new key" value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select label="Role" data={choices} value={role === "" ? null : role} onChange={(id) => id && setRole(id)} allowDeselect={false} />
        <TextInput type="date" label="Ends (empty: never)" value={until} onChange={(event) => setUntil(event.currentTarget.value)} />
        <Button type="submit" disabled={name.trim() === "" || role === ""}>
          Make a key
        </Button>
      </form>
      {error && <p className="note fails" role="alert">{error}</p>}
      {made && (
        <div className="note good" role="status" style={{ marginTop: 12 }}>
          <p>This is the key. It is shown once: copy it now.</p>
          <span className="row">
            <code className="command wrap">{made}</code>
            <Copy text={made} label="Copy the key" />
            <Button size="compact-xs" variant="subtle" onClick={() => setMade(null)}>
              I have it
            </Button>
          </span>
        </div>
      )}
    </div>
  );
}

function NewMember() {
  const [user, setUser] = useState("");
  const [home, setHome] = useState("");
  const [chosen, setRole] = useState("");
  const choices = useRoleChoices();
  const role = chosen === "" ? (choices.find(({ name }) => name === "USER")?.value ?? "") : chosen;
  const [error, setError] = useState<string | null>(null);
  const letIn = () =>
    act(LET_IN, { user: user.trim(), home: home.trim(), role }).then(
      () => {
        setUser("");
        setError(null);
      },
      (reason: Error) => setError(reason.message),
    );
  return (
    <form
      className="footer-form form"
      onSubmit={(event) => {
        event.preventDefault();
        void letIn();
      }}
    >
      <TextInput label="Id of the user" value={user} onChange={(event) => setUser(event.currentTarget.value)} />
      <TextInput label="Id of their tenant" value={home} onChange={(event) => setHome(event.currentTarget.value)} />
      <Select label="Role here" data={choices} value={role === "" ? null : role} onChange={(id) => id && setRole(id)} allowDeselect={false} />
      {error && <p className="note fails" role="alert">{error}</p>}
      <Button type="submit" disabled={user.trim() === "" || home.trim() === "" || role === ""} style={{ justifySelf: "end" }}>
        Let in
      </Button>
    </form>
  );
}
