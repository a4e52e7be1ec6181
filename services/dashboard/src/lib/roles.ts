const READERS = new Set(["read_only", "READ_ONLY_USER", "agent"]);

/** Whether a role may only look. The page hides what the server would refuse. */
export function isReader(role: string): boolean {
  return READERS.has(role);
}

/** Whether a role may make keys, let people in, set limits and read the audit trail. */
export function isAdministrator(role: string): boolean {
  return role === "tenant_admin";
}

/** What each role is called on the pages. */
const NAMES: Record<string, string> = {
  user: "User", read_only: "Read only", READ_ONLY_USER: "Read only", agent: "Agent", tenant_admin: "Administrator",
};

export function roleName(role: string): string {
  return NAMES[role] ?? role;
}
