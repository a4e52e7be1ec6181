import { Link, useNavigate } from "@tanstack/react-router";
import type { MouseEvent } from "react";

import { BASE } from "../api/client";
import { usePreferences } from "../app/preferences";
import { familyOf } from "../lib/states";
import { waitingText } from "../lib/waiting";
import { duration, relative, took } from "../lib/time";
import { Shape } from "./State";

export type RunMark = {
  id: string;
  name: string;
  state: string;
  scheduled_start_time: string;
  start_time?: string | null;
  end_time?: string | null;
};

/** The last runs as shapes, the newest at the right; each is a link. */
export function LastRuns({ slug, runs }: { slug: string; runs: readonly RunMark[] }) {
  const { now } = usePreferences();
  const navigate = useNavigate();
  if (runs.length === 0) return <span className="quiet small">no runs yet</span>;
  // Neither the library's tooltips nor the router's links: a list of 200 flows would make 2,000 of each, and one of these
  // takes a twentieth of their time.
  const open = (event: MouseEvent<HTMLAnchorElement>, id: string) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void navigate({ to: "/$slug/flow-run/$id", params: { slug, id } });
  };
  return (
    <span className="shapes">
      {[...runs].reverse().map((run) => {
        const ran = took(run.start_time, run.end_time, now);
        const label = `${run.name}: ${run.state}, ${relative(Date.parse(run.start_time ?? run.scheduled_start_time), now)}${ran === null ? "" : `, took ${duration(ran)}`}`;
        return (
          <a key={run.id} href={`${BASE}${slug}/flow-run/${run.id}`} onClick={(event) => open(event, run.id)} aria-label={label} title={label}>
            <Shape family={familyOf(run.state)} size={14} />
          </a>
        );
      })}
    </span>
  );
}

/** Why a run is late, as a sentence with the place that causes it. */
export function WhyLate({ slug, reason, labels }: { slug: string; reason: string | null | undefined; labels: unknown }) {
  if (!reason) return null;
  const names = Array.isArray(labels) ? labels.map(String).join(", ") : "";
  const agents = (
    <Link to="/$slug/agents" params={{ slug }}>
      See the agents
    </Link>
  );
  if (reason.startsWith("limit_full")) {
    return (
      <span>
        It waits for a place: {reason.replace("limit_full: ", "")} is full.{" "}
        <Link to="/$slug/limits" params={{ slug }}>
          See the limits
        </Link>
      </span>
    );
  }
  if (reason === "no_matching_agent") {
    return (
      <span>
        {names ? `No agent has all of its labels (${names}).` : "No agent that takes runs without labels asks for work."} {agents}
      </span>
    );
  }
  if (reason === "agent_silent") {
    return <span>The agents that could take it have not asked for work lately. {agents}</span>;
  }
  if (reason === "not_claimed") return <span>An agent that could take it has not done so yet. {agents}</span>;
  if (reason === "work_queue_paused") return <span>The work queue is paused: no agent is given a run until it is resumed.</span>;
  if (reason === "paused") {
    return (
      <span>
        Its schedule or queue is paused.{" "}
        <Link to="/$slug/flows" params={{ slug }}>
          See the flows
        </Link>
      </span>
    );
  }
  return <span>{reason}</span>;
}

/** Why a task run has not started, as a sentence (services/gateway/reads/waiting.py has the words). */
export function WhyWaiting({ slug, reason }: { slug: string; reason: string }) {
  const [word = "", more = ""] = reason.split(/: (.*)/s);
  if (word === "limit_full") {
    return (
      <span>
        It waits for a place: {more} is full.{" "}
        <Link to="/$slug/limits" params={{ slug }}>
          See the limits
        </Link>
      </span>
    );
  }
  const known = waitingText(word, more);
  return <span>{known ?? reason}</span>;
}
