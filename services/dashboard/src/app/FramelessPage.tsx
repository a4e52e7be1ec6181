import type { ReactNode } from "react";

import { BASE } from "../api/client";
import { Page } from "../components/basics";

/** A page outside the frame of a tenant, for people who have no session there yet. */
export function FramelessPage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main id="main" className="log-in">
      <span className="brand">
        <img src={`${BASE}favicon.svg`} alt="" />
        Headwater
      </span>
      <Page title={title}>{children}</Page>
    </main>
  );
}
