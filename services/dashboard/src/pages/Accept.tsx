import { Button } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { graphql } from "../api/generated";
import type { InvitationOfLinkQuery } from "../api/generated/graphql";
import { FramelessPage } from "../app/FramelessPage";
import { KeyForm } from "../app/KeyForm";
import { queries, send, useLive } from "../app/live";
import { useTenant } from "../app/session";
import { Empty, Loaded, When } from "../components/basics";
import { Confirmed } from "../components/Dialog";
import { Fact, Facts } from "../components/Facts";
import { roleName } from "../lib/roles";

const INVITATION = graphql(`
  query InvitationOfLink($id: uuid!) {
    membership_invitation_by_pk(id: $id) {
      id
      created
      email
      tenant_id
      tenant {
        name
        slug
      }
      role_detail {
        name
      }
    }
  }
`);
const ACCEPT = graphql(`mutation AcceptInvitation($id: UUID!) { accept_membership_invitation(input: { invitation_id: $id }) { id } }`);
const DECLINE = graphql(`mutation DeclineInvitation($id: UUID!) { delete_membership_invitation(input: { invitation_id: $id }) { success error } }`);

type Invitation = NonNullable<InvitationOfLinkQuery["membership_invitation_by_pk"]>;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The page of an invitation's link: who invites, with which role, and the answer to it. */
export function Accept() {
  const { invitation_id: id } = useSearch({ strict: false }) as { invitation_id?: string };
  return (
    <FramelessPage title="Invitation">
      {id !== undefined && UUID.test(id) ? (
        <Answered key={id} id={id} />
      ) : (
        <Nothing title="This link names no invitation.">It ends with ?invitation_id= and an id. Ask for the whole link.</Nothing>
      )}
    </FramelessPage>
  );
}

function Answered({ id }: { id: string }) {
  const home = useTenant(undefined);
  const query = useLive(INVITATION, { id });
  const [accepted, setAccepted] = useState<Invitation | null>(null);
  const [isDeclined, setDeclined] = useState(false);
  // What was answered is gone for the server: from then on the page says what became of it.
  if (accepted) return <Entering invitation={accepted} />;
  if (isDeclined) return <Nothing title="You declined.">The link is good for nobody any more.</Nothing>;
  return (
    <Loaded query={query} rows={3}>
      {({ membership_invitation_by_pk: found }) => {
        if (found === null || found === undefined) {
          return (
            <Nothing title="This invitation is not good any more.">
              It was accepted (a first log-in with single sign-on does that, too), declined or taken back, or it has run out. Ask for another one.
            </Nothing>
          );
        }
        if (found.tenant_id === home?.id) {
          return <Nothing title={`You are in ${home.name} already.`}>The invitation is for {found.email}: hand the link on to them.</Nothing>;
        }
        return <Question invitation={found} accepted={() => setAccepted(found)} declined={() => setDeclined(true)} />;
      }}
    </Loaded>
  );
}

function Question({ invitation, accepted, declined }: { invitation: Invitation; accepted: () => void; declined: () => void }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { id } = invitation;
  const accept = async () => {
    setBusy(true);
    setError(null);
    try {
      await send(ACCEPT, { id });
      accepted();
    } catch (reason) {
      setError((reason as Error).message);
      setBusy(false);
    }
  };
  return (
    <div className="card">
      <Facts>
        <Fact name="Tenant">{nameOf(invitation)}</Fact>
        <Fact name="Invited">{invitation.email}</Fact>
        <Fact name="Role">{roleName(invitation.role_detail.name)}</Fact>
        <Fact name="Made">
          <When at={invitation.created} />
        </Fact>
      </Facts>
      {error && (
        <p className="note fails" role="alert">
          {error}
        </p>
      )}
      <div className="row">
        <Button onClick={() => void accept()} disabled={busy}>
          Accept
        </Button>
        <Confirmed label="Decline" title={`Decline the invitation to ${nameOf(invitation)}?`} danger run={() => send(DECLINE, { id }).then(declined)}>
          <p>The link is good for nobody from then on. Only a new invitation lets you in.</p>
        </Confirmed>
      </div>
    </div>
  );
}

/** A session is of one tenant, so the way into another one is a new session of the same person. */
function Entering({ invitation }: { invitation: Invitation }) {
  const navigate = useNavigate();
  const enter = async () => {
    await queries.invalidateQueries({ queryKey: ["session"] });
    await navigate({ to: "/$slug", params: { slug: invitation.tenant?.slug ?? "" } });
  };
  return (
    <>
      <p role="status">
        <b>You are a member of {nameOf(invitation)} now.</b> A session is of one tenant: show your API key once more to enter. Who came with single sign-on needs one of
        their own first, of an administrator of the tenant that they are in now.
      </p>
      <KeyForm label={`Enter ${nameOf(invitation)}`} tenant={invitation.tenant_id} onDone={() => void enter()} />
    </>
  );
}

function Nothing({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Empty title={title}>
      <span>{children}</span>
      <Link to="/">Go to the overview</Link>
    </Empty>
  );
}

function nameOf({ tenant, tenant_id: id }: Invitation): string {
  return tenant?.name ?? id;
}
