import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import Anser from "anser";
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { BASE, request } from "../api/client";
import { graphql } from "../api/generated";
import type { Log_Bool_Exp } from "../api/generated/graphql";
import { usePreferences } from "../app/preferences";
import { cursorAfter, cursorBefore, merge, type Line } from "../lib/logs";
import { clockTime, dayOf } from "../lib/time";
import { Empty, Problem } from "./basics";

const LINES = graphql(`
  query Lines($where: log_bool_exp!, $newest: [log_order_by!]!, $limit: Int!) {
    log(where: $where, order_by: $newest, limit: $limit) {
      id
      timestamp
      sequence
      level
      name
      message
      task_run_id
    }
  }
`);
const PAGE = 500;
const DESCENDING = [{ timestamp: "desc" as const }, { sequence: "desc" as const }];
const ASCENDING = [{ timestamp: "asc" as const }, { sequence: "asc" as const }];
const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
/** A line that is longer is cut, with a button that shows the rest. */
const LONGEST = 10_000;
/** Lines keep coming after a run has ended: its last batch may be under way. */
const AFTER_END = 20_000;
const EVERY = 2_000;

type Props = { of: { flow_run_id: string } | { task_run_id: string }; isLive: boolean; marked?: string | undefined };

/** The log of a run: opened at its end, older lines as one scrolls up, new ones as they come. */
export function Logs({ of, isLive, marked }: Props) {
  const [level, setLevel] = useState("DEBUG");
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 300);
  const [follows, setFollows] = useState(marked === undefined);
  const [kind, id] = "flow_run_id" in of ? (["flow_run_id", of.flow_run_id] as const) : (["task_run_id", of.task_run_id] as const);
  const where = useMemo(() => conditionOf(kind, id, level, asked), [kind, id, level, asked]);
  return (
    <div>
      <div className="row" style={{ marginBottom: 12 }} role="search" aria-label="Search the log">
        <TextInput
          aria-label="Text in the log"
          placeholder="Text in the log"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: "1 1 220px" }}
        />
        <Select
          aria-label="Level"
          data={LEVELS.map((each) => ({ value: each, label: each === "DEBUG" ? "All levels" : `${each} and above` }))}
          value={level}
          allowDeselect={false}
          onChange={(chosen) => chosen && setLevel(chosen)}
        />
        <Checkbox label="Follow" checked={follows} onChange={(event) => setFollows(event.currentTarget.checked)} />
      </div>
      <Window
        key={JSON.stringify(where)}
        where={where}
        words={asked}
        isLive={isLive}
        marked={marked}
        follows={follows}
        setFollows={setFollows}
      />
    </div>
  );
}

function conditionOf(kind: "flow_run_id" | "task_run_id", id: string, level: string, text: string): Log_Bool_Exp {
  const all: Log_Bool_Exp[] = [{ [kind]: { _eq: id } }];
  if (level !== "DEBUG") all.push({ level: { _in: LEVELS.slice(LEVELS.indexOf(level)) } });
  if (text) all.push({ message: { _ilike: `%${text.replace(/[\\%_]/g, "\\$&")}%` } });
  return { _and: all };
}

/** Lines in memory and how they grow at both ends. */
function useLines(where: Log_Bool_Exp, isLive: boolean, marked: string | undefined) {
  const client = useQueryClient();
  const [lines, setLines] = useState<Line[] | null>(null);
  const [hasOlder, setHasOlder] = useState(true);
  const [error, setError] = useState<Error | null>(null);
  const busy = useRef(false);

  const ask = useCallback(
    (condition: Log_Bool_Exp, order: typeof DESCENDING | typeof ASCENDING) =>
      client.fetchQuery({
        queryKey: ["lines", condition, order],
        queryFn: ({ signal }) => request(LINES, { where: condition, newest: order, limit: PAGE }, signal),
        staleTime: 0,
        gcTime: 0,
      }),
    [client],
  );

  const first = useCallback(async () => {
    try {
      let around = where;
      if (marked) {
        const { log } = await ask({ _and: [where, { id: { _eq: marked } }] }, DESCENDING);
        if (log[0]) around = { _and: [where, cursorBefore(log[0], true)] };
      }
      const { log } = await ask(around, DESCENDING);
      setLines(merge([], log));
      setHasOlder(log.length === PAGE);
      setError(null);
    } catch (reason) {
      setError(reason as Error);
    }
  }, [ask, where, marked]);
  useEffect(() => void first(), [first]);

  const older = useCallback(async () => {
    const oldest = lines?.[0];
    if (!oldest || !hasOlder || busy.current) return;
    busy.current = true;
    try {
      const { log } = await ask({ _and: [where, cursorBefore(oldest)] }, DESCENDING);
      setLines((now) => merge(now ?? [], log));
      setHasOlder(log.length === PAGE);
    } catch (reason) {
      setError(reason as Error);
    } finally {
      busy.current = false;
    }
  }, [ask, where, lines, hasOlder]);

  const newer = useCallback(async () => {
    try {
      // From a little before the last line: lines of other processes may arrive late.
      const from = lines?.at(-50) ?? lines?.[0];
      const { log } = await ask(from ? { _and: [where, cursorAfter(from)] } : where, from ? ASCENDING : DESCENDING);
      setLines((now) => merge(now ?? [], log));
      setError(null);
    } catch (reason) {
      setError(reason as Error);
    }
  }, [ask, where, lines]);
  const latest = useRef(newer);
  latest.current = newer;
  useEffect(() => {
    const ends = isLive ? Infinity : Date.now() + AFTER_END;
    const timer = setInterval(() => {
      if (Date.now() > ends) clearInterval(timer);
      else if (!document.hidden) void latest.current();
    }, EVERY);
    return () => clearInterval(timer);
  }, [isLive]);
  return { lines, hasOlder, older, newer, error, again: first };
}

function Window({
  where,
  words,
  isLive,
  marked,
  follows,
  setFollows,
}: {
  where: Log_Bool_Exp;
  words: string;
  isLive: boolean;
  marked: string | undefined;
  follows: boolean;
  setFollows: (follows: boolean) => void;
}) {
  const { zone } = usePreferences();
  const { lines, hasOlder, older, error, again } = useLines(where, isLive, marked);
  const box = useRef<HTMLDivElement>(null);
  const count = lines?.length ?? 0;
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => 20,
    overscan: 30,
    getItemKey: (index) => lines?.[index]?.id ?? index,
  });
  const oldest = lines?.[0]?.id;
  const before = useRef<{ id: string | undefined; count: number }>({ id: undefined, count: 0 });
  useEffect(() => {
    if (count === 0) return;
    const was = before.current;
    before.current = { id: oldest, count };
    const at = marked ? (lines ?? []).findIndex((line) => line.id === marked) : -1;
    if (was.count === 0 && at >= 0) virtual.scrollToIndex(at, { align: "center" });
    else if (follows) virtual.scrollToIndex(count - 1, { align: "end" });
    else if (was.id !== undefined && was.id !== oldest) {
      // Older lines came in above: what was read stays where it was.
      virtual.scrollToIndex((lines ?? []).findIndex((line) => line.id === was.id), { align: "start" });
    }
  }, [count, oldest, follows, marked, lines, virtual]);
  if (error && lines === null) return <Problem error={error} again={() => void again()} />;
  if (lines === null) return <p className="quiet" aria-busy="true">Loading the log…</p>;
  if (count === 0) {
    return (
      <Empty title={words ? "No line has this text." : "There are no lines."}>
        {!words && <span>Lines of the flow's logger and of its tasks' loggers are shown here as they come.</span>}
      </Empty>
    );
  }
  const day = lines[0] ? dayOf(Date.parse(lines[0].timestamp), zone) : "";
  return (
    <>
      <div className="row small quiet">
        <span>
          {count} {count === 1 ? "line" : "lines"}
          {hasOlder ? " loaded, older ones above" : ""}, from {day}, times in {zone}
        </span>
        {hasOlder && (
          <Button size="compact-xs" variant="subtle" onClick={() => void older()}>
            Load older lines
          </Button>
        )}
      </div>
      <div
        className="virtual log"
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Log lines"
        aria-live="off"
        onWheel={(event) => event.deltaY < 0 && setFollows(false)}
        onKeyDown={(event) => ["ArrowUp", "PageUp", "Home"].includes(event.key) && setFollows(false)}
        onScroll={(event) => {
          if (event.currentTarget.scrollTop < 400) void older();
        }}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            if (!line) return null;
            return (
              <div
                key={line.id}
                ref={virtual.measureElement}
                data-index={item.index}
                className={`line${line.id === marked ? " marked" : ""}`}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <a className="at" href={linkTo(line.id)} title="A link to this line">
                  {clockTime(Date.parse(line.timestamp), zone)}
                </a>
                <span className={LEVELS.includes(line.level ?? "") ? (line.level ?? "") : ""}>{line.level}</span>
                <span title={line.name ?? ""}>
                  <Message text={line.message ?? ""} words={words} />
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}

function linkTo(id: string): string {
  const path = location.pathname.startsWith(BASE) ? location.pathname : BASE;
  return `${path}?tab=logs&logId=${id}`;
}

const COLOURED = new RegExp(String.fromCharCode(27) + "\\[");

function Message({ text, words }: { text: string; words: string }) {
  const [whole, setWhole] = useState(false);
  const shown = whole ? text : text.slice(0, LONGEST);
  const parts: ReactNode = COLOURED.test(shown)
    ? Anser.ansiToJson(shown, { remove_empty: true, json: true }).map((part, index) => (
        <span key={index} style={part.fg ? { color: `rgb(${part.fg})` } : undefined}>
          <Found text={part.content} words={words} />
        </span>
      ))
    : <Found text={shown} words={words} />;
  return (
    <>
      {parts}
      {shown.length < text.length && (
        <Button size="compact-xs" variant="subtle" onClick={() => setWhole(true)}>
          Show {text.length - shown.length} more characters
        </Button>
      )}
    </>
  );
}

/** A text with the words that were searched for marked in it. */
function Found({ text, words }: { text: string; words: string }) {
  if (!words) return <>{text}</>;
  const parts: ReactNode[] = [];
  const lower = text.toLowerCase();
  const wanted = words.toLowerCase();
  let at = 0;
  // Lower case may be longer than what it is made from: then nothing is marked rather than the wrong letters.
  for (let next = lower.indexOf(wanted); next >= 0 && lower.length === text.length; next = lower.indexOf(wanted, at)) {
    parts.push(text.slice(at, next), <mark key={next}>{text.slice(next, next + wanted.length)}</mark>);
    at = next + wanted.length;
  }
  parts.push(text.slice(at));
  return <>{parts}</>;
}
