import { hintsOf, messageReader, type Hint, type Message } from "../lib/events";

/**
 * How it stands with the stream of events. `fresh`: what changes is heard at once. `stale`: the stream is open, but the
 * gateway hears nothing. `lost`: the gateway cannot be reached. `refused`: it has no stream for us, so pages poll.
 */
export type Link = "connecting" | "fresh" | "stale" | "lost" | "refused";

/** What a tab is told: hints, or that anything may have changed (`all`). */
export type News = { hints: readonly Hint[] } | "all";

/** What tabs of one browser tell each other. */
type Word =
  | { word: "hints"; hints: readonly Hint[]; place: string | null }
  | { word: "all"; place: string | null }
  | { word: "link"; link: Link; place: string | null }
  | { word: "who" };

/** What of the browser is used, so that a test can put its own in the place. */
export type Surroundings = {
  /** Open the stream from a place on. */
  open: (place: string | null, signal: AbortSignal) => Promise<Response>;
  /** Whether this tab is seen. Only a tab that is seen asks for anything. */
  isSeen: () => boolean;
  onSeen: (listener: () => void) => () => void;
  /** Runs `lead` while this tab, and no other one, may. Ends when `signal` is aborted. */
  alone: (signal: AbortSignal, lead: () => Promise<void>) => Promise<void>;
  channel: { post: (word: Word) => void; close: () => void } | null;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  random: () => number;
};

/** A hidden tab lets the stream go after so long: people step to and fro. */
const HIDDEN_FOR = 5_000;
/** The gateway says something each 15 seconds; who hears nothing for so long has lost the connection. */
const SILENCE = 40_000;
const LONGEST_WAIT = 10_000;
/** A gateway that refused is asked again after so long. */
const REFUSED_FOR = 60_000;

type Listeners = { onLink: (link: Link) => void; onNews: (news: News) => void; onRefusal: (status: number | "ended") => void };

/**
 * One stream for all tabs of a browser: the tab that holds the lock reads it and tells the others over a channel. Where
 * the browser has neither, each tab has its own. A hidden tab holds nothing, and goes on from the last place when it is
 * seen again.
 */
export class EventStream {
  link: Link = "connecting";
  private place: string | null = null;
  private stopped = false;
  private isLeader = false;
  private silence = new AbortController();
  private leading: AbortController | null = null;
  private hiding: AbortController | null = null;
  private readonly forget: () => void;

  constructor(
    private readonly around: Surroundings,
    private readonly listeners: Listeners,
  ) {
    this.forget = around.onSeen(() => this.seen());
    around.channel?.post({ word: "who" });
    this.seen();
  }

  /** End for good. */
  stop(): void {
    this.stopped = true;
    this.forget();
    this.hiding?.abort();
    this.leading?.abort();
    this.silence.abort();
    this.around.channel?.close();
  }

  /** What another tab said. */
  hear(word: Word): void {
    if (word.word === "who") {
      if (this.isLeader) this.around.channel?.post({ word: "link", link: this.link, place: this.place });
      return;
    }
    this.place = word.place ?? this.place;
    this.follow();
    if (word.word === "link") this.set(word.link);
    else this.listeners.onNews(word.word === "all" ? "all" : { hints: word.hints });
  }

  /** Believe the leader for as long as it is heard; a frozen one is silent. */
  private follow(): void {
    this.silence.abort();
    const silence = (this.silence = new AbortController());
    void this.around.wait(SILENCE, silence.signal).then(() => {
      if (!silence.signal.aborted && !this.isLeader && !this.stopped) this.set("connecting");
    });
  }

  private seen(): void {
    if (this.stopped) return;
    if (this.around.isSeen()) {
      this.hiding?.abort();
      this.hiding = null;
      if (this.leading === null) this.compete();
      return;
    }
    if (this.hiding !== null) return;
    const hiding = (this.hiding = new AbortController());
    void this.around.wait(HIDDEN_FOR, hiding.signal).then(() => {
      if (hiding.signal.aborted) return;
      this.leading?.abort();
      this.leading = null;
    });
  }

  private compete(): void {
    const leading = (this.leading = new AbortController());
    void this.around
      .alone(leading.signal, () => this.lead(leading.signal))
      .catch(() => undefined)
      .finally(() => {
        if (this.leading === leading) this.leading = null;
      });
  }

  private async lead(signal: AbortSignal): Promise<void> {
    this.isLeader = true;
    this.silence.abort();
    let failures = 0;
    while (!signal.aborted) {
      const wasLost = failures > 0;
      const outcome = await this.read(signal, () => {
        // What was asked while nobody answered has failed: look at all of it again.
        if (wasLost) this.tell("all");
        failures = 0;
      });
      if (signal.aborted) break;
      if (typeof outcome === "number" || outcome === "ended") {
        this.say("refused");
        this.listeners.onRefusal(outcome);
        await this.around.wait(REFUSED_FOR, signal);
        continue;
      }
      failures += 1;
      // One break is nothing to tell of: a proxy or an upgrade ends streams now and then.
      if (failures > 1) this.say("lost");
      await this.around.wait(Math.min(LONGEST_WAIT, 500 * 2 ** failures) * (0.75 + this.around.random() / 2), signal);
    }
    this.isLeader = false;
    if (!this.stopped) this.set("connecting");
  }

  /** Read until the connection breaks: the status of a refusal, `ended` where the session has, or `broken`. */
  private async read(signal: AbortSignal, opened: () => void): Promise<number | "ended" | "broken"> {
    const stopReading = new AbortController();
    const stop = () => stopReading.abort();
    signal.addEventListener("abort", stop);
    let silence = new AbortController();
    const heard = () => {
      silence.abort();
      silence = new AbortController();
      const mine = silence.signal;
      void this.around.wait(SILENCE, mine).then(() => mine.aborted || stop());
    };
    try {
      heard();
      const answer = await this.around.open(this.place, stopReading.signal);
      if (!answer.ok || answer.body === null) {
        // A gateway that starts, or a proxy without one, is away; what it says itself is a refusal.
        return answer.status >= 502 && answer.status <= 504 ? "broken" : answer.status;
      }
      opened();
      const read = messageReader();
      const decode = new TextDecoder();
      const reader = answer.body.getReader();
      stopReading.signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "broken";
        heard();
        for (const message of read(decode.decode(value, { stream: true }))) {
          if (this.take(message) === "ended") return "ended";
        }
      }
    } catch {
      return "broken";
    } finally {
      silence.abort();
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  private take(message: Message): "ended" | null {
    this.place = message.id ?? this.place;
    switch (message.event) {
      case "open":
        this.say("fresh");
        break;
      case "hints":
        this.tell({ hints: hintsOf(message.data) });
        break;
      case "gap":
        this.tell("all");
        break;
      case "fresh":
        this.say("fresh");
        // Signals have no place: those of the time between are lost.
        this.tell("all");
        break;
      case "stale":
        this.say("stale");
        break;
      case "place":
        this.around.channel?.post({ word: "link", link: this.link, place: this.place });
        break;
      case "end":
        return /"reason":\s*"unauthenticated"/.test(message.data) ? "ended" : null;
    }
    return null;
  }

  private tell(news: News): void {
    this.listeners.onNews(news);
    this.around.channel?.post(news === "all" ? { word: "all", place: this.place } : { word: "hints", hints: news.hints, place: this.place });
  }

  private say(link: Link): void {
    this.set(link);
    this.around.channel?.post({ word: "link", link, place: this.place });
  }

  private set(link: Link): void {
    if (this.link === link) return;
    this.link = link;
    this.listeners.onLink(link);
  }
}

/** The browser as it is, for one tenant. `headers` are those of any request. */
export function surroundings(base: string, tenantId: string, headers: () => Record<string, string>, hear: (word: Word) => void): Surroundings {
  const name = `headwater-events ${base} ${tenantId}`;
  let channel: Surroundings["channel"] = null;
  // On plain http of another machine a browser has no locks; then each tab listens for itself.
  const locks = typeof navigator.locks === "object" && typeof BroadcastChannel === "function" ? navigator.locks : null;
  if (locks) {
    const opened = new BroadcastChannel(name);
    opened.onmessage = ({ data }: MessageEvent<Word>) => hear(data);
    channel = { post: (word) => opened.postMessage(word), close: () => opened.close() };
  }
  return {
    open: (place, signal) =>
      fetch(`${base}events`, {
        headers: { accept: "text/event-stream", ...headers(), ...(place ? { "last-event-id": place } : {}) },
        credentials: "same-origin",
        cache: "no-store",
        signal,
      }),
    isSeen: () => !document.hidden,
    onSeen: (listener) => {
      document.addEventListener("visibilitychange", listener);
      window.addEventListener("pageshow", listener);
      return () => {
        document.removeEventListener("visibilitychange", listener);
        window.removeEventListener("pageshow", listener);
      };
    },
    alone: async (signal, lead) => {
      if (locks) await locks.request(name, { signal }, lead);
      else await lead();
    },
    channel,
    wait: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const done = () => {
          clearTimeout(timer);
          window.removeEventListener("online", soon);
          signal.removeEventListener("abort", done);
          resolve();
        };
        const soon = () => ms <= LONGEST_WAIT && done();
        const timer = setTimeout(done, ms);
        window.addEventListener("online", soon);
        signal.addEventListener("abort", done);
      }),
    random: Math.random,
  };
}
