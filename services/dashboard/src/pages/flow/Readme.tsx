import { Button, Textarea } from "@mantine/core";
import { useState } from "react";

import { graphql } from "../../api/generated";
import { act } from "../../app/live";
import { useSession } from "../../app/session";
import { Card, Empty } from "../../components/basics";
import { LazyMarkdown } from "../../components/lazy";

const SET = graphql(`
  mutation SetReadme($id: UUID!, $text: String) {
    set_flow_group_description(input: { flow_group_id: $id, description: $text }) {
      success
      error
    }
  }
`);

/** What people should know of this flow, in Markdown. */
export function Readme({ groupId, text }: { groupId: string; text: string | null }) {
  const { may } = useSession();
  const [draft, setDraft] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const save = () =>
    act(SET, { id: groupId, text: draft }).then(
      () => {
        setDraft(null);
        setError(null);
      },
      (reason: Error) => setError(reason.message),
    );
  const edit = may(SET) && (
    <Button variant="default" onClick={() => setDraft(text ?? "")}>
      {text ? "Edit" : "Write one"}
    </Button>
  );
  if (draft !== null) {
    return (
      <div className="grid">
        <Card title="README in Markdown" span={6}>
          <form
            className="form"
            onSubmit={(event) => {
              event.preventDefault();
              void save();
            }}
          >
            <Textarea aria-label="README" autosize minRows={12} maxRows={40} value={draft} onChange={(event) => setDraft(event.currentTarget.value)} data-autofocus />
            {error && <p className="note fails" role="alert">{error}</p>}
            <div className="row ends">
              <Button variant="default" onClick={() => setDraft(null)}>
                Back
              </Button>
              <Button type="submit">Save</Button>
            </div>
          </form>
        </Card>
        <Card title="How it looks" span={6}>
          <div className="prose">
            <LazyMarkdown text={draft} />
          </div>
        </Card>
      </div>
    );
  }
  return (
    <Card title="README" more={text ? edit : null}>
      {text ? (
        <div className="prose">
          <LazyMarkdown text={text} />
        </div>
      ) : (
        <Empty title="This flow has no README.">
          <span>Say what it does, who owns it, and what to do when it fails at night.</span>
          {edit}
        </Empty>
      )}
    </Card>
  );
}
