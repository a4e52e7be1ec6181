import { writeJson } from "../api/json";
import { Copy } from "./basics";

/** A value as JSON, with a button that copies it. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const text = writeJson(value);
  return (
    <div>
      <Copy text={text} label={`Copy ${label}`} />
      <pre className="mono wrap" tabIndex={0} aria-label={label} style={{ maxHeight: 480, overflow: "auto", margin: 0 }}>
        {text}
      </pre>
    </div>
  );
}
