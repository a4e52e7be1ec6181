import type { ReactNode } from "react";

import { countsOf, durationsOf, failureRate, percentile } from "../lib/statistics";
import { FAMILY_NAMES } from "../lib/states";
import { duration } from "../lib/time";
import { Shape } from "./State";

/** A name and what it is, many of them: the right column of a page. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children ?? <span className="quiet">–</span>}</dd>
    </>
  );
}

type Run = { state: string; start_time: string | null; end_time: string | null };

/** The last runs in numbers: how many of each family, how often they failed, how long they took. */
export function InNumbers({ runs, what }: { runs: readonly Run[]; what: string }) {
  const took = durationsOf(runs);
  const rate = failureRate(runs);
  const [half, most] = [percentile(took, 0.5), percentile(took, 0.95)];
  return (
    <div className="numbers">
      <span className="stat">
        <b>{rate === null ? "–" : `${(100 * rate).toFixed(rate > 0 && rate < 0.1 ? 1 : 0)} %`}</b>
        <span className="quiet small">failed of the last {runs.length.toLocaleString("en")} {what}</span>
      </span>
      <span className="stat">
        <b>{half === null ? "–" : duration(half)}</b>
        <span className="quiet small">half of them took at most</span>
      </span>
      <span className="stat">
        <b>{most === null ? "–" : duration(most)}</b>
        <span className="quiet small">19 of 20 took at most</span>
      </span>
      <span className="row" style={{ alignSelf: "end" }}>
        {countsOf(runs).map(([family, count]) => (
          <span key={family} className="state" title={FAMILY_NAMES[family]}>
            <Shape family={family} label={FAMILY_NAMES[family]} /> {count.toLocaleString("en")}
          </span>
        ))}
      </span>
    </div>
  );
}

/** Words in boxes: labels and tags. */
export function Words({ words, none = "none" }: { words: unknown; none?: string }) {
  if (!Array.isArray(words) || words.length === 0) return <span className="quiet">{none}</span>;
  return (
    <span className="words">
      {words.map((word, index) => (
        <span key={index} className="word">
          {String(word)}
        </span>
      ))}
    </span>
  );
}
