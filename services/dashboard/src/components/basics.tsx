import { Button, Skeleton } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { useEffect, useLayoutEffect, useRef, type ReactNode } from "react";

import { ApiError, type Kind } from "../api/client";
import { usePreferences } from "../app/preferences";
import { absolute, duration, relative } from "../lib/time";

/** The frame of a page: its title is the one h1, the tab's title, and has the focus after a step from page to page. */
export function Page({
  title,
  crumbs,
  actions,
  children,
}: {
  title: string;
  crumbs?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Headwater`;
  }, [title]);
  // Before the page is seen: a moment later the focus may be where somebody has put it.
  useLayoutEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <>
      <div className="head">
        <div>
          {crumbs && <div className="crumbs">{crumbs}</div>}
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
        </div>
        {actions && <div className="row">{actions}</div>}
      </div>
      {children}
    </>
  );
}

export function Card({
  title,
  more,
  span = 12,
  children,
}: {
  title?: string;
  more?: ReactNode;
  span?: 3 | 4 | 6 | 8 | 12;
  children: ReactNode;
}) {
  return (
    <section className={`card span${span}`} aria-label={title}>
      {title && (
        <header>
          <h2>{title}</h2>
          {more}
        </header>
      )}
      {children}
    </section>
  );
}

/** What a query answered, or a skeleton of its size, or what went wrong and what can be done. */
export function Loaded<Data>({
  query,
  rows = 5,
  children,
}: {
  query: { data: Data | undefined; error: Error | null; refetch: () => unknown };
  rows?: number;
  children: (data: Data) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Problem error={query.error} again={() => void query.refetch()} />;
  return (
    <div role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} height={20} my={12} radius="sm" animate={false} />
      ))}
    </div>
  );
}

const ADVICE: Partial<Record<Kind, string>> = {
  unreachable: "Is Headwater running? `make status` tells; this page goes on by itself.",
  away: "This page goes on by itself as soon as it answers. `make status` tells what runs.",
  busy: "This page asks again by itself.",
};

export function Problem({ error, again }: { error: Error; again?: () => void }) {
  const advice = error instanceof ApiError ? ADVICE[error.kind] : undefined;
  return (
    <div className="empty" role="alert">
      <b>{error.message}</b>
      {advice && <span>{advice}</span>}
      {again && (
        <Button variant="default" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <b>{title}</b>
      {children}
    </div>
  );
}

/** A time: relative in the text, absolute beside it and in the zone that the reader chose. */
export function When({ at, both = false }: { at: string | null | undefined; both?: boolean }) {
  const { zone, now } = usePreferences();
  if (!at) return <span className="quiet">–</span>;
  const ms = Date.parse(at);
  const full = absolute(ms, zone);
  return (
    <time dateTime={at} title={full}>
      <span>{relative(ms, now)}</span>
      {both && (
        <>
          {" "}
          <span className="quiet">{full}</span>
        </>
      )}
    </time>
  );
}

export function Took({ ms }: { ms: number | null }) {
  return ms === null ? <span className="quiet">–</span> : <>{duration(ms)}</>;
}

/** A text with a button that copies it. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const clipboard = useClipboard({ timeout: 1500 });
  return (
    <Button
      variant="subtle"
      size="compact-xs"
      onClick={() => clipboard.copy(text)}
      aria-label={`Copy ${label ?? text}`}
    >
      {clipboard.copied ? "Copied" : (label ?? "Copy")}
    </Button>
  );
}

/** A command to run, with its copy button. */
export function Command({ text }: { text: string }) {
  return (
    <span className="row">
      <code className="command">{text}</code>
      <Copy text={text} label="Copy" />
    </span>
  );
}

/** Stands for a dialog whose code is on its way, so that keys pressed meanwhile are not those of the page. */
export function Coming({ name }: { name: string }) {
  return <div role="dialog" aria-label={name} aria-busy="true" hidden />;
}
