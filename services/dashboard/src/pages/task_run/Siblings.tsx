import { Select } from "@mantine/core";
import { useState } from "react";

import { Empty } from "../../components/basics";
import { ChildrenByPages } from "../../components/ChildrenByPages";
import { FAMILIES, FAMILY_NAMES, statesOf, type Family } from "../../lib/states";

/** The mapped children of one task in one run; `shown` is the one whose page this is. */
export function Siblings({ slug, flowRunId, taskId, shown }: { slug: string; flowRunId: string; taskId: string; shown: string }) {
  const [family, setFamily] = useState<Family | null>(null);
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select
          aria-label="State of the children"
          data={[{ value: "", label: "All states" }, ...FAMILIES.map((each) => ({ value: each, label: FAMILY_NAMES[each] }))]}
          value={family ?? ""}
          allowDeselect={false}
          onChange={(chosen) => setFamily(chosen ? (chosen as Family) : null)}
        />
      </div>
      <ChildrenByPages
        slug={slug}
        flowRunId={flowRunId}
        taskId={taskId}
        {...(family ? { states: statesOf(family) } : {})}
        shown={shown}
        empty={<Empty title={family ? "No child is in this state." : "It has no mapped children yet."} />}
      />
    </>
  );
}
