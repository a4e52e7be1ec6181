// The query editor posts to the address it was served from, so that it works behind any proxy and under any path.
const example = `# Headwater's GraphQL API. Point a Prefect 0.x-1.x client at this address:
#   PREFECT__BACKEND=server PREFECT__SERVER__HOST=${location.protocol}//${location.hostname} PREFECT__SERVER__PORT=${location.port || (location.protocol === "https:" ? 443 : 80)}
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

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: location.href.split(/[?#]/)[0] }),
    defaultQuery: example,
    defaultEditorToolsVisibility: true,
  }),
);
