import { Button, Modal, TextInput } from "@mantine/core";
import { useEffect, useState, type ReactNode } from "react";

type AskProps = {
  title: string;
  /** What the button does, as a word. */
  label: string;
  close: () => void;
  /** Does it; raises `Error` with the reason of a refusal, which is shown, and the dialog stays. */
  go: () => Promise<unknown>;
  isReady?: boolean;
  danger?: boolean;
  /** What is done is shown in the same dialog, which somebody closes by hand. */
  staysOpen?: boolean;
  size?: "lg";
  children: ReactNode;
};

/** A form in a dialog: done once, and the reason where it was not done. It is there for as long as it is asked. */
export function Ask({ title, close, size, ...form }: AskProps) {
  useFocusBack();
  return (
    <Modal opened onClose={close} title={title} centered returnFocus={false} {...(size === undefined ? {} : { size })}>
      <AskForm close={close} {...form} />
    </Modal>
  );
}

/** What a dialog asks, its button, and the way back. */
export function AskForm({ label, close, go, isReady = true, danger = false, staysOpen = false, children }: Omit<AskProps, "title" | "size">) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await go();
      if (!staysOpen) close();
    } catch (reason) {
      setError(reason as Error);
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit();
      }}
    >
      {children}
      {error && (
        <p className="note fails" role="alert">
          {error.message}
        </p>
      )}
      <div className="row ends">
        <Button variant="default" onClick={close}>
          Back
        </Button>
        <Button type="submit" loading={busy} disabled={!isReady} {...(danger ? { color: "alarm" } : { "data-autofocus": true })}>
          {label}
        </Button>
      </div>
    </form>
  );
}

/** The focus goes back to what opened a dialog, if that is still there and nothing else has taken it. */
function useFocusBack(): void {
  useEffect(() => {
    const opener = document.activeElement;
    return () => {
      setTimeout(() => {
        const isFree = document.activeElement === null || document.activeElement === document.body;
        if (isFree && opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
      });
    };
  }, []);
}

/**
 * A button that asks first. It says what will go, and a word must be typed where nothing brings it back.
 */
export function Confirmed({
  label,
  title,
  children,
  word,
  danger = false,
  disabled = false,
  run,
}: {
  label: string;
  title: string;
  children: ReactNode;
  word?: string;
  danger?: boolean;
  disabled?: boolean;
  run: () => Promise<unknown>;
}) {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button variant="default" {...(danger ? { c: "var(--failed)" } : {})} disabled={disabled} onClick={() => setOpened(true)}>
        {label}
      </Button>
      {opened && (
        <Confirmation title={title} label={label} close={() => setOpened(false)} go={run} danger={danger} {...(word === undefined ? {} : { word })}>
          {children}
        </Confirmation>
      )}
    </>
  );
}

/** The question itself, with the word to type where there is one. */
export function Confirmation({ word, children, ...ask }: Omit<AskProps, "isReady"> & { word?: string }) {
  const [typed, setTyped] = useState("");
  return (
    <Ask {...ask} isReady={word === undefined || typed === word}>
      <div className="small">{children}</div>
      {word !== undefined && <TypedWord word={word} typed={typed} setTyped={setTyped} />}
    </Ask>
  );
}

/** A field for the word that shows that somebody means it. */
export function TypedWord({ word, typed, setTyped }: { word: string; typed: string; setTyped: (typed: string) => void }) {
  return <TextInput mt="md" label={`Type “${word}” to go on`} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} data-autofocus autoComplete="off" />;
}
