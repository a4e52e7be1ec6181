/** What each built-in role is called on the pages, by both of its names. */
const NAMES: Readonly<Record<string, string>> = {
  user: "User", USER: "User",
  read_only: "Read only", READ_ONLY_USER: "Read only",
  agent: "Agent", RUNNER: "Agent",
  tenant_admin: "Administrator", TENANT_ADMIN: "Administrator",
};

/** A role's name for people; a role of the tenant's own is called as it is. */
export function roleName(role: string): string {
  return Object.hasOwn(NAMES, role) ? (NAMES[role] ?? role) : role;
}
