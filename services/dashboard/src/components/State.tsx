import { familyOf, isLate, type Family } from "../lib/states";

/** A shape of its own for each family: the colour is never the only sign. */
export function Shape({ family, size = 14, label }: { family: Family; size?: number; label?: string }) {
  const colour = `var(--${family})`;
  const stroke = { fill: "none", stroke: colour, strokeWidth: 2, strokeLinecap: "round" as const };
  const name = label ? { role: "img", "aria-label": label } : { "aria-hidden": true };
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" {...name}>
      {label && <title>{label}</title>}
      {family === "waiting" && (
        <>
          <circle cx="8" cy="8" r="6.5" {...stroke} />
          <path d="M8 4.5V8l2.5 1.8" {...stroke} />
        </>
      )}
      {family === "running" && (
        <>
          <circle cx="8" cy="8" r="6.5" {...stroke} opacity={0.3} />
          <path className="spin" d="M8 1.5A6.5 6.5 0 0 1 14.5 8" {...stroke} />
          <path d="M6.5 5.2v5.6L11 8z" fill={colour} />
        </>
      )}
      {family === "success" && (
        <>
          <circle cx="8" cy="8" r="7.5" fill={colour} />
          <path d="m4.8 8.2 2.3 2.3 4.2-4.6" fill="none" stroke="var(--paper)" strokeWidth="2" strokeLinecap="round" />
        </>
      )}
      {family === "failed" && (
        <>
          <path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" fill={colour} />
          <path d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" stroke="var(--paper)" strokeWidth="2" strokeLinecap="round" />
        </>
      )}
      {family === "cancelled" && (
        <>
          <circle cx="8" cy="8" r="6.5" {...stroke} />
          <path d="M3.6 12.4 12.4 3.6" {...stroke} />
        </>
      )}
      {family === "skipped" && <path d="m2.5 3.5 5 4.5-5 4.5zm6 0 5 4.5-5 4.5z" fill={colour} />}
    </svg>
  );
}

/** A state in its shape, colour and word. A scheduled run that nobody took in time says that it is late. */
export function State({ state, scheduled, now }: { state: string; scheduled?: string | null; now?: number }) {
  const late = now !== undefined && isLate(state, scheduled, now);
  return (
    <span className="state">
      <Shape family={familyOf(state)} />
      <span>{late ? "Late" : state}</span>
    </span>
  );
}
