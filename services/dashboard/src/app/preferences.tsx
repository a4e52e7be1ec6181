import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";

import { isZone, localZone } from "../lib/time";

type Preferences = {
  /** The zone in which absolute times are shown. */
  zone: string;
  setZone: (zone: string) => void;
  /** Now in milliseconds, renewed each few seconds, so that all relative times of a page agree. */
  now: number;
};

const Context = createContext<Preferences | null>(null);
const KEY = "headwater-zone";
const TICK = 5_000;

function stored(): string {
  try {
    const zone = localStorage.getItem(KEY);
    return zone && isZone(zone) ? zone : localZone();
  } catch {
    return localZone();
  }
}

export function PreferencesProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useState(stored);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, TICK);
    const onShown = () => setNow(Date.now());
    document.addEventListener("visibilitychange", onShown);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", onShown);
    };
  }, []);
  const value = useMemo(
    () => ({
      zone,
      now,
      setZone: (chosen: string) => {
        if (!isZone(chosen)) return;
        setZone(chosen);
        try {
          localStorage.setItem(KEY, chosen);
        } catch {
          // A browser that stores nothing forgets the choice; the page works on.
        }
      },
    }),
    [zone, now],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function usePreferences(): Preferences {
  const found = useContext(Context);
  if (!found) throw new Error("usePreferences is used outside of PreferencesProvider");
  return found;
}
