import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import "./editor.css";
import { exampleQuery } from "./example";

// The editor posts to the address it was served from, so that it works behind any proxy and under any path.
const fetcher = createGraphiQLFetcher({ url: location.href.replace(/[?#].*$/, "") });
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
