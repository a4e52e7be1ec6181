import { Modal } from "@mantine/core";

import type { Binding } from "../lib/keys";

/** All keys that are bound now, by group. */
export function KeysDialog({ shown, close }: { shown: readonly Binding[] | null; close: () => void }) {
  const groups = [...new Set((shown ?? []).map((each) => each.group))];
  return (
    <Modal opened={shown !== null} onClose={close} title="Keys" size="lg">
      <div className="keys">
        {groups.map((group) => (
          <section key={group} aria-label={group}>
            <h2>{group}</h2>
            <dl>
              {shown
                ?.filter((each) => each.group === group)
                .map((each) => (
                  <div key={each.keys}>
                    <dt>
                      {each.keys.split(" ").map((key, index) => (
                        <kbd key={index}>{key}</kbd>
                      ))}
                    </dt>
                    <dd>{each.name}</dd>
                  </div>
                ))}
              {group === "Lists" && (
                <div>
                  <dt>
                    <kbd>Enter</kbd>
                  </dt>
                  <dd>Open the row</dd>
                </div>
              )}
              {group === "Everywhere" && (
                <div>
                  <dt>
                    <kbd>Ctrl</kbd>
                    <kbd>K</kbd>
                  </dt>
                  <dd>Search for anything by name or id</dd>
                </div>
              )}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
