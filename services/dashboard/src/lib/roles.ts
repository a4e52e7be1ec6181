const READERS = new Set(["read_only", "READ_ONLY_USER", "agent"]);

/** Whether a role may only look. The page hides what the server would refuse. */
export function isReader(role: string): boolean {
  return READERS.has(role);
}
