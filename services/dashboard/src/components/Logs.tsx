import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import Anser from "anser";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { BASE, request } from "../api/client";
import { graphql } from "../api/generated";
import type { Log_Bool_Exp } from "../api/generated/graphql";
import { usePreferences } from "../app/preferences";
import { downloadOf, LEVELS, levelsFrom } from "../lib/logs";
import { clockTime, dayOf } from "../lib/time";
import { useKey } from "../app/keys";
import { useTenant } from "../app/session";
import { Empty, Problem } from "./basics";
import { Downloads } from "./Download";
import { useLines, type Target } from "./logLines";

const SEARCH = graphql(`
  query LogSearch($run: UUID!, $text: String!, $level: String, $task: UUID, $after: Int!) {
    log_search(flow_run_id: $run, text: $text, level: $level, task_run_id: $task, after: $after, limit: 1000) {
      count
      matches {
        id
        position
        timestamp
        sequence
      }
    }
  }
`);
/** A line that is longer is cut, with a button that shows the rest. */
const LONGEST = 10_000;

type Props = {
  of: { flow_run_id: string } | { task_run_id: string };
  /** The flow run of a task run's log: with it the log can be searched on the server and saved. */
  flowRunId?: string | undefined;
  isLive: boolean;
  marked?: string | undefined;
};

/** The log of a run: opened at its end, older lines as one scrolls up, new ones as they come. */
export function Logs({ of, flowRunId, isLive, marked }: Props) {
  const [level, setLevel] = useState<string>("DEBUG");
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 300);
  const [onlyMatches, setOnlyMatches] = useState(false);
  const [follows, setFollows] = useState(marked === undefined);
  const [target, setTarget] = useState<Target | null>(null);
  const [kind, id] = "flow_run_id" in of ? (["flow_run_id", of.flow_run_id] as const) : (["task_run_id", of.task_run_id] as const);
  const run = kind === "flow_run_id" ? id : flowRunId;
  const taskRunId = kind === "task_run_id" ? id : undefined;
  const isFiltered = onlyMatches || run === undefined;
  const where = useMemo(() => conditionOf(kind, id, level, isFiltered ? asked : ""), [kind, id, level, isFiltered, asked]);
  const tenant = useTenant(undefined)?.id ?? null;
  const box = useRef<HTMLInputElement>(null);
  useKey("f", "Search in the log", () => box.current?.focus());
  // What is in the box is saved, also while the search for it waits for the end of typing.
  const filter = { level, text: onlyMatches ? text.trim() : "", taskRunId };
  const files = (["text", "ndjson"] as const).flatMap((format) =>
    [false, true].map((gzip) => ({
      label: `${format === "text" ? "Text" : "NDJSON"}${gzip ? ", compressed" : ""}`,
      path: run ? downloadOf(run, filter, format, gzip) : "",
      name: `${run}.${format === "text" ? "log" : "ndjson"}${gzip ? ".gz" : ""}`,
    })),
  );
  return (
    <div>
      <div className="row" style={{ marginBottom: 12 }} role="search" aria-label="Search the log">
        <TextInput
          ref={box}
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
        {run && <Checkbox label="Only matches" checked={onlyMatches} onChange={(event) => setOnlyMatches(event.currentTarget.checked)} />}
        <Checkbox
          label="Follow"
          checked={follows}
          onChange={(event) => {
            setFollows(event.currentTarget.checked);
            if (event.currentTarget.checked) setTarget(null);
          }}
        />
        {run && <Downloads label="Download" files={files} tenant={tenant} />}
      </div>
      {run && asked !== "" && (
        <Matches
          key={`${asked} ${level}`}
          run={run}
          task={taskRunId}
          text={asked}
          level={level}
          go={(found) => {
            setFollows(false);
            setTarget(found);
          }}
        />
      )}
      <Window
        key={JSON.stringify(where)}
        where={where}
        words={asked}
        run={run ?? null}
        isLive={isLive}
        marked={marked}
        target={target}
        follows={follows}
        setFollows={setFollows}
        toEnd={() => {
          setTarget(null);
          setFollows(true);
        }}
      />
    </div>
  );
}

function conditionOf(kind: "flow_run_id" | "task_run_id", id: string, level: string, text: string): Log_Bool_Exp {
  const all: Log_Bool_Exp[] = [{ [kind]: { _eq: id } }];
  const levels = levelsFrom(level);
  if (levels.length > 0) all.push({ level: { _in: levels } });
  if (text) all.push({ message: { _ilike: `%${text.replace(/[\\%_]/g, "\\$&")}%` } });
  return { _and: all };
}

/** How many lines of the whole log have the text, and a walk from one to the next: `n` and `N`. */
function Matches({ run, task, text, level, go }: { run: string; task: string | undefined; text: string; level: string; go: (found: Target) => void }) {
  const levels = levelsFrom(level).join(",");
  const query = useInfiniteQuery({
    queryKey: ["log-search", run, task, text, levels],
    queryFn: ({ pageParam, signal }) => request(SEARCH, { run, text, level: levels || null, task: task ?? null, after: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.log_search.matches.length === 1000 ? last.log_search.matches.at(-1)?.position : undefined),
    staleTime: 5_000,
  });
  const found = useMemo(() => (query.data?.pages ?? []).flatMap((page) => page.log_search.matches), [query.data]);
  const count = query.data?.pages[0]?.log_search.count ?? 0;
  const [at, setAt] = useState(0);
  const latest = useRef(go);
  latest.current = go;
  const chosen = found[at];
  useEffect(() => {
    if (chosen) latest.current({ id: chosen.id, timestamp: chosen.timestamp, sequence: Number(chosen.sequence) });
  }, [chosen]);
  const step = (by: 1 | -1) => {
    if (found.length === 0) return;
    const next = at + by;
    if (next >= found.length && query.hasNextPage) void query.fetchNextPage().then(() => setAt(next));
    else setAt((next + found.length) % found.length);
  };
  useKey("n", "Next match in the log", () => step(1));
  useKey("N", "Match before", () => step(-1));
  if (query.error) return <Problem error={query.error} again={() => void query.refetch()} />;
  return (
    <div className="row small" style={{ marginBottom: 8 }} role="status">
      {query.isPending ? (
        <span className="quiet">Searching the whole log…</span>
      ) : count === 0 ? (
        <span>No line has this text.</span>
      ) : (
        <>
          <span>
            <b>{(at + 1).toLocaleString("en")}</b> of {count.toLocaleString("en")} {count === 1 ? "line" : "lines"}, at line {chosen?.position.toLocaleString("en")}
          </span>
          <Button size="compact-xs" variant="default" onClick={() => step(-1)} aria-label="Match before">
            ↑
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => step(1)} aria-label="Next match">
            ↓
          </Button>
          <span className="quiet">
            <kbd>n</kbd> next, <kbd>N</kbd> before
          </span>
        </>
      )}
    </div>
  );
}

function Window({
  where,
  words,
  run,
  isLive,
  marked,
  target,
  follows,
  setFollows,
  toEnd,
}: {
  where: Log_Bool_Exp;
  words: string;
  run: string | null;
  isLive: boolean;
  marked: string | undefined;
  target: Target | null;
  follows: boolean;
  setFollows: (follows: boolean) => void;
  toEnd: () => void;
}) {
  const { zone } = usePreferences();
  const { lines, hasOlder, hasNewer, older, newer, error, again } = useLines({ where, run, isLive, marked, target, toEnd: follows });
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
  const arrived = useRef<string | undefined>(undefined);
  const newest = lines?.at(-1)?.id;
  const before = useRef<{ oldest: string | undefined; newest: string | undefined }>({ oldest: undefined, newest: undefined });
  useEffect(() => {
    if (count === 0) return;
    const was = before.current;
    before.current = { oldest, newest };
    const wanted = target?.id ?? marked;
    const at = wanted ? (lines ?? []).findIndex((line) => line.id === wanted) : -1;
    const isNew = arrived.current !== wanted;
    if (at >= 0 && isNew) {
      arrived.current = wanted;
      virtual.scrollToIndex(at, { align: "center" });
    }
    else if (follows) virtual.scrollToIndex(count - 1, { align: "end" });
    else if (was.oldest !== undefined && was.oldest !== oldest) {
      // Older lines came in above, or too many were let go there: what was read stays where it was.
      const place = (id: string | undefined) => (lines ?? []).findIndex((line) => line.id === id);
      const [first, last] = [place(was.oldest), place(was.newest)];
      if (first >= 0) virtual.scrollToIndex(first, { align: "start" });
      else if (last >= 0) virtual.scrollToIndex(last, { align: "end" });
    }
  }, [count, oldest, newest, follows, marked, target, lines, virtual]);
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
          {hasOlder || hasNewer ? ` loaded, more ${hasOlder && hasNewer ? "above and below" : hasOlder ? "above" : "below"}` : ""}, from {day}, times in {zone}
        </span>
        {hasOlder && (
          <Button size="compact-xs" variant="subtle" onClick={() => void older()}>
            Load older lines
          </Button>
        )}
        {(hasNewer || !follows) && (
          <Button size="compact-xs" variant="subtle" onClick={toEnd}>
            To the end
          </Button>
        )}
      </div>
      <div
        className="virtual log"
        style={{ height: `min(72vh, ${Math.max(120, virtual.getTotalSize() + 4)}px)` }}
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Log lines"
        aria-live="off"
        onWheel={(event) => event.deltaY < 0 && setFollows(false)}
        onKeyDown={(event) => ["ArrowUp", "PageUp", "Home"].includes(event.key) && setFollows(false)}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          if (scrollTop < 400) void older();
          else if (hasNewer && scrollHeight - scrollTop - clientHeight < 400) void newer();
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
                className={`line${line.id === (target?.id ?? marked) ? " marked" : ""}`}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <a className="at" href={linkTo(line.id)} title="A link to this line">
                  {clockTime(Date.parse(line.timestamp), zone)}
                </a>
                <span className={(LEVELS as readonly string[]).includes(line.level ?? "") ? (line.level ?? "") : ""}>{line.level}</span>
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
