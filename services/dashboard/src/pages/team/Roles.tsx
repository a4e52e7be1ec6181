import { Button, TextInput } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import type { RolesQuery } from "../../api/generated/graphql";
import { act, useLive } from "../../app/live";
import { useSession } from "../../app/session";
import { Card, Loaded } from "../../components/basics";
import { Ask, Confirmed } from "../../components/Dialog";
import { Table } from "../../components/Table";
import { inWords, objectsOf, toggled, VERBS } from "../../lib/permissionTable";
import { roleName } from "../../lib/roles";

const ROLES = graphql(`
  query Roles {
    auth_role(limit: 500) {
      id
      name
      permissions
      tenant_id
    }
  }
`);
const ALL = graphql(`
  query AllPermissions {
    permissions_info {
      all_permissions_filtered_by_license_features
    }
  }
`);
const CREATE = graphql(`mutation CreateRole($name: String!, $permissions: [String!]!) { create_custom_role(input: { name: $name, permissions: $permissions }) { id } }`);
const UPDATE = graphql(`
  mutation UpdateRole($id: UUID!, $permissions: [String!]!) {
    update_custom_role_permissions(input: { role_id: $id, permissions: $permissions }) {
      success
      error
    }
  }
`);
const DELETE = graphql(`mutation DeleteRole($id: UUID!) { delete_custom_role(input: { role_id: $id }) { success error } }`);

type Role = RolesQuery["auth_role"][number];

/** The roles that a key, a member or an invitation may have, as choices: built-in ones first. */
export function useRoleChoices(): { value: string; label: string; name: string }[] {
  const { data } = useLive(ROLES, {});
  return (data?.auth_role ?? []).map(({ id, name, tenant_id }) => ({
    value: id, name, label: tenant_id === null ? (BUILT_IN[name] ?? roleName(name)) : name,
  }));
}

const BUILT_IN: Readonly<Record<string, string>> = {
  USER: "User: reads and changes",
  READ_ONLY_USER: "Read only",
  RUNNER: "Agent: takes and reports runs",
  TENANT_ADMIN: "Administrator: keys, members and limits too",
};

/** What each role allows; the tenant's own ones are made, changed and deleted here. */
export function Roles() {
  const { may } = useSession();
  const query = useLive(ROLES, {});
  const [edited, setEdited] = useState<Role | "new" | null>(null);
  return (
    <Card title="Roles" more={may(CREATE) && <Button variant="default" onClick={() => setEdited("new")}>New role</Button>}>
      <Loaded query={query}>
        {({ auth_role: roles }) => (
          <Table
            rows={roles}
            keyOf={(role) => role.id}
            columns={[
              { name: "Role", width: "20%", cell: (role) => <b>{role.tenant_id === null ? roleName(role.name) : role.name}</b> },
              { name: "Allows", cell: (role) => <span className="small quiet">{inWords(role.permissions)}</span> },
              { name: "", as: "acts", cell: (role) => role.tenant_id !== null && <Acts role={role} edit={() => setEdited(role)} /> },
            ]}
          />
        )}
      </Loaded>
      {edited !== null && <Editor role={edited === "new" ? null : edited} close={() => setEdited(null)} />}
    </Card>
  );
}

function Acts({ role, edit }: { role: Role; edit: () => void }) {
  const { may } = useSession();
  return (
    <span className="row">
      {may(UPDATE) && (
        <Button variant="default" onClick={edit}>
          Change
        </Button>
      )}
      {may(DELETE) && (
        <Confirmed label="Delete" title={`Delete the role ${role.name}?`} danger run={() => act(DELETE, { id: role.id })}>
          <p>That is refused while a key, a member or an invitation has it.</p>
        </Confirmed>
      )}
    </span>
  );
}

/** A role's name and permissions. Nobody gives more than they hold, so the rest cannot be chosen. */
function Editor({ role, close }: { role: Role | null; close: () => void }) {
  const { may } = useSession();
  const query = useLive(ALL, {});
  const [name, setName] = useState(role?.name ?? "");
  const [held, setHeld] = useState<ReadonlySet<string>>(() => new Set(role?.permissions ?? []));
  const permissions = [...held].sort();
  const go = () => (role === null ? act(CREATE, { name: name.trim(), permissions }) : act(UPDATE, { id: role.id, permissions }));
  return (
    <Ask
      title={role === null ? "New role" : `The role ${role.name}`}
      label={role === null ? "Make it" : "Save"}
      size="lg"
      close={close}
      go={go}
      isReady={name.trim() !== "" && held.size > 0}
    >
      <div className="form">
        {role === null && <TextInput label="Name" withAsterisk value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />}
        <Loaded query={query}>
          {({ permissions_info: all }) => (
            <Boxes
              all={all.all_permissions_filtered_by_license_features}
              held={held}
              mayGive={(permission) => may(permission as `read:${string}`)}
              toggle={(permission) => setHeld((now) => toggled(now, permission))}
            />
          )}
        </Loaded>
      </div>
    </Ask>
  );
}

type BoxesProps = { all: readonly string[]; held: ReadonlySet<string>; mayGive: (permission: string) => boolean; toggle: (permission: string) => void };

function Boxes({ all, held, mayGive, toggle }: BoxesProps) {
  const known = new Set(all);
  return (
    <div className="scroll">
      <table className="table">
        <caption className="small quiet">What it allows. You can give what you hold yourself.</caption>
        <thead>
          <tr>
            <th scope="col">Of</th>
            {VERBS.map((verb) => (
              <th key={verb} scope="col">
                {verb}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {objectsOf(all).map((object) => (
            <tr key={object}>
              <th scope="row">{object}</th>
              {VERBS.map((verb) => {
                const permission = `${verb}:${object}`;
                return (
                  <td key={verb}>
                    {known.has(permission) && (
                      <input
                        type="checkbox"
                        className="box"
                        aria-label={permission}
                        checked={held.has(permission)}
                        disabled={!mayGive(permission)}
                        onChange={() => toggle(permission)}
                      />
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
