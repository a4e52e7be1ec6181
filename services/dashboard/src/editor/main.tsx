import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import "./editor.css";
import { exampleQuery } from "./example";

// The editor asks the address it was served from, so that it works behind any proxy and under any path. Subscriptions go
// over a socket of the same address: a session's cookie goes along, and where there is none the headers' key does.
const url = location.href.replace(/[?#].*$/, "");
const fetcher = createGraphiQLFetcher({
  url,
  // A session's requests carry a header that no other site can send.
  headers: { "x-headwater": "editor" },
  subscriptionUrl: url.replace(/^http/, "ws"),
});
const root = document.getElementById("editor");
if (root === null) throw new Error("editor.html has no element #editor");

createRoot(root).render(
  <StrictMode>
    <GraphiQL
      fetcher={fetcher}
      defaultQuery={exampleQuery(location)}
      defaultEditorToolsVisibility
    />
  </StrictMode>,
);
