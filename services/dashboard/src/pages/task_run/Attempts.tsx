import { usePreferences } from "../../app/preferences";
import { Empty, When } from "../../components/basics";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { attemptsOf } from "../../lib/attempts";
import { familyOf } from "../../lib/states";
import { duration } from "../../lib/time";

type Past = { state: string; message: string | null; timestamp: string; version: number };

/** Each try as a bar and a row: how long it took, what came of it, and how long the next one waited. */
export function Attempts({ states, most }: { states: readonly Past[]; most: number }) {
  const { now } = usePreferences();
  const attempts = attemptsOf(states);
  const [first] = attempts;
  if (!first) return <Empty title="It has not been tried yet.">Each try is shown here, with what came of it.</Empty>;
  const from = first.from;
  const length = Math.max(1, (attempts.at(-1)?.to ?? now) - from);
  return (
    <>
      <div className="attempts" aria-hidden>
        {attempts.map((each) => (
          <span
            key={each.number}
            style={{
              left: `${(100 * (each.from - from)) / length}%`,
              width: `max(4px, ${(100 * ((each.to ?? now) - each.from)) / length}%)`,
              background: `var(--${each.state === "Retrying" ? "failed" : familyOf(each.state)})`,
            }}
          />
        ))}
      </div>
      <Table
        rows={attempts}
        keyOf={(each) => String(each.number)}
        columns={[
          {
            name: "Try",
            cell: (each) => (
              <>
                {each.number} <span className="quiet">of {Math.max(most + 1, attempts.length)}</span>
              </>
            ),
          },
          { name: "Began", cell: (each) => <When at={new Date(each.from).toISOString()} both /> },
          { name: "Waited before", as: "num", cell: (each) => each.waited !== null && duration(each.waited) },
          { name: "Took", as: "num", cell: (each) => duration((each.to ?? now) - each.from) },
          { name: "Ended in", cell: (each) => <State state={each.state} /> },
          { name: "Message", as: "wrap", cell: (each) => each.message },
        ]}
      />
    </>
  );
}
