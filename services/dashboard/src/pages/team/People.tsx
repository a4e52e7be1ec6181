import { Button, Select, TextInput } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import type { PeopleQuery } from "../../api/generated/graphql";
import { act, useLive } from "../../app/live";
import { useSession } from "../../app/session";
import { Card, Command, Empty, Loaded, When } from "../../components/basics";
import { Ask, Confirmed } from "../../components/Dialog";
import { Table } from "../../components/Table";
import { roleName } from "../../lib/roles";
import { useRoleChoices } from "./Roles";

const PEOPLE = graphql(`
  query People {
    user_view_same_tenant(limit: 500) {
      id
      username
      email
      account_type
      created
      deleted_at
      memberships {
        id
        role_id
        role_detail {
          name
        }
      }
    }
  }
`);
const SET_ROLE = graphql(`mutation SetMembershipRole($id: UUID!, $role: UUID!) { set_membership_role(input: { membership_id: $id, role_id: $role }) { id } }`);
const CREATE_SERVICE = graphql(`mutation CreateServiceAccount($name: String!, $role: UUID!) { create_service_account(input: { name: $name, role_id: $role }) { id } }`);
const DELETE_SERVICE = graphql(`mutation DeleteServiceAccount($id: UUID!) { delete_service_account(input: { user_id: $id }) { success error } }`);
const INVITATIONS = graphql(`
  query Invitations {
    membership_invitation(limit: 500) {
      id
      created
      email
      role_detail {
        name
      }
    }
  }
`);
const INVITE = graphql(`mutation Invite($email: String!, $role: UUID!) { create_membership_invitation(input: { email: $email, role_id: $role }) { id } }`);
const TAKE_BACK = graphql(`mutation TakeBackInvitation($id: UUID!) { delete_membership_invitation(input: { invitation_id: $id }) { success error } }`);

type Person = PeopleQuery["user_view_same_tenant"][number];

/** Everybody whom the tenant has a name for, and service accounts, with the most that each may do. */
export function People() {
  const { may } = useSession();
  const query = useLive(PEOPLE, {});
  const [made, setMade] = useState(false);
  const [changed, setChanged] = useState<Person | null>(null);
  return (
    <Card title="People and service accounts" more={may(CREATE_SERVICE) && <Button variant="default" onClick={() => setMade(true)}>New service account</Button>}>
      <Loaded query={query}>
        {({ user_view_same_tenant: all }) => {
          const people = all.filter((each) => each.deleted_at === null);
          return people.length === 0 ? (
            <Empty title="Nobody has a name here yet.">People come by invitation; what is no person and needs a key of its own is a service account.</Empty>
          ) : (
            <Table
              rows={people}
              keyOf={(each) => each.id}
              columns={[
                { name: "Name", cell: (each) => <b>{each.username}</b> },
                { name: "Kind", cell: (each) => (each.account_type === "SERVICE" ? "Service account" : "Person") },
                { name: "Role", cell: (each) => each.memberships.map(({ role_detail }) => roleName(role_detail.name)).join(", ") || <span className="quiet">none</span> },
                { name: "Since", cell: (each) => <When at={each.created} /> },
                { name: "", as: "acts", cell: (each) => <Acts person={each} change={() => setChanged(each)} /> },
              ]}
            />
          );
        }}
      </Loaded>
      {made && <NewServiceAccount close={() => setMade(false)} />}
      {changed && <ChangeRole person={changed} close={() => setChanged(null)} />}
    </Card>
  );
}

function Acts({ person, change }: { person: Person; change: () => void }) {
  const { may } = useSession();
  return (
    <span className="row">
      {may(SET_ROLE) && person.memberships.length > 0 && (
        <Button variant="default" onClick={change}>
          Change role
        </Button>
      )}
      {person.account_type === "SERVICE" && may(DELETE_SERVICE) && (
        <Confirmed label="Delete" title={`Delete ${person.username}?`} danger word={person.username} run={() => act(DELETE_SERVICE, { id: person.id })}>
          <p>Its keys are refused within a second. Nothing brings them back.</p>
        </Confirmed>
      )}
    </span>
  );
}

function RoleSelect({ role, choose }: { role: string; choose: (id: string) => void }) {
  const choices = useRoleChoices();
  return <Select label="Role" withAsterisk data={choices} value={role === "" ? null : role} onChange={(id) => choose(id ?? "")} allowDeselect={false} />;
}

function ChangeRole({ person, close }: { person: Person; close: () => void }) {
  const [membership] = person.memberships;
  const [role, setRole] = useState(membership?.role_id ?? "");
  return (
    <Ask title={`The role of ${person.username}`} label="Save" close={close} isReady={role !== ""} go={() => act(SET_ROLE, { id: membership?.id ?? "", role })}>
      <RoleSelect role={role} choose={setRole} />
      <p className="small quiet">No key of theirs may do more from then on.</p>
    </Ask>
  );
}

function NewServiceAccount({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("");
  return (
    <Ask title="New service account" label="Make it" close={close} isReady={name.trim() !== "" && role !== ""} go={() => act(CREATE_SERVICE, { name: name.trim(), role })}>
      <div className="form">
        <TextInput label="Name" withAsterisk value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
        <RoleSelect role={role} choose={setRole} />
        <p className="small quiet">Its keys are made over the API: create_api_key with its user_id.</p>
      </div>
    </Ask>
  );
}

/** Who is invited and has not come yet. Whoever has an invitation's id may accept it, once. */
export function Invitations() {
  const { may } = useSession();
  const query = useLive(INVITATIONS, {});
  const [asks, setAsks] = useState(false);
  return (
    <Card title="Invitations" more={may(INVITE) && <Button variant="default" onClick={() => setAsks(true)}>Invite</Button>}>
      <Loaded query={query} rows={2}>
        {({ membership_invitation: rows }) =>
          rows.length === 0 ? (
            <Empty title="Nobody is invited.">An invitation lets somebody with a key of another tenant in here, with a role.</Empty>
          ) : (
            <Table
              rows={rows}
              keyOf={(each) => each.id}
              columns={[
                { name: "To", cell: (each) => <b>{each.email}</b> },
                { name: "Role", cell: (each) => roleName(each.role_detail.name) },
                { name: "Made", cell: (each) => <When at={each.created} /> },
                { name: "Their link", cell: (each) => <Command text={new URL(`accept?invitation_id=${each.id}`, document.baseURI).href} /> },
                {
                  name: "",
                  as: "acts",
                  cell: (each) =>
                    may("delete:membership-invitation", TAKE_BACK) && (
                      <Confirmed label="Take back" title={`Take the invitation of ${each.email} back?`} danger run={() => act(TAKE_BACK, { id: each.id })}>
                        <p>It can be accepted no longer.</p>
                      </Confirmed>
                    ),
                },
              ]}
            />
          )
        }
      </Loaded>
      {asks && <Invite close={() => setAsks(false)} />}
    </Card>
  );
}

function Invite({ close }: { close: () => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("");
  return (
    <Ask title="Invite somebody" label="Invite" close={close} isReady={email.trim() !== "" && role !== ""} go={() => act(INVITE, { email: email.trim(), role })}>
      <div className="form">
        <TextInput label="E-mail" type="email" description="Nothing is sent to it: hand the link on yourself." withAsterisk value={email} onChange={(event) => setEmail(event.currentTarget.value)} data-autofocus />
        <RoleSelect role={role} choose={setRole} />
      </div>
    </Ask>
  );
}
