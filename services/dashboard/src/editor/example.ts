/** The query that the editor shows first, with the settings that point a Prefect client at this address. */
export function exampleQuery(address: Pick<Location, "protocol" | "hostname" | "port">): string {
  const port = address.port || (address.protocol === "https:" ? "443" : "80");
  return `# Headwater's GraphQL API. Point a Prefect 0.x-1.x client at this address:
#   PREFECT__BACKEND=server PREFECT__SERVER__HOST=${address.protocol}//${address.hostname} PREFECT__SERVER__PORT=${port}
# With API keys on, put {"Authorization": "Bearer hw_..."} under Headers.

query LatestRuns {
  flow_run(order_by: { created: desc }, limit: 10) {
    name
    state
    start_time
    flow { name version project { name } }
  }
}
`;
}
