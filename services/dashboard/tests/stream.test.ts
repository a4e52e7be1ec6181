import { expect, it, vi } from "vitest";

import { EventStream, type Link, type News, type Surroundings } from "../src/app/stream";

/** A gateway whose answers a test writes, and a browser whose tabs it shows and hides. */
class Tab {
  readonly links: Link[] = [];
  readonly news: News[] = [];
  readonly refusals: (number | "ended")[] = [];
  readonly opened: (string | null)[] = [];
  readonly waits: number[] = [];
  isSeen = true;
  private onSeen: () => void = () => undefined;
  private controllers: ReadableStreamDefaultController<Uint8Array>[] = [];
  private resume: (() => void)[] = [];
  readonly stream: EventStream;

  constructor(
    private readonly browser: Browser,
    private readonly answer: () => Response | null = () => null,
  ) {
    browser.tabs.push(this);
    const around: Surroundings = {
      open: (place, signal) => this.open(place, signal),
      isSeen: () => this.isSeen,
      onSeen: (listener) => {
        this.onSeen = listener;
        return () => undefined;
      },
      alone: (signal, lead) => browser.alone(signal, lead),
      channel: {
        post: (word) => browser.tabs.filter((tab) => tab !== this).forEach((tab) => tab.stream?.hear(word)),
        close: () => undefined,
      },
      wait: (ms, signal) =>
        new Promise((resolve) => {
          this.waits.push(ms);
          if (ms < 30_000) this.resume.push(resolve);
          signal.addEventListener("abort", () => resolve());
        }),
      random: () => 0.5,
    };
    this.stream = new EventStream(around, {
      onLink: (link) => this.links.push(link),
      onNews: (news) => this.news.push(news),
      onRefusal: (status) => this.refusals.push(status),
    });
  }

  private async open(place: string | null, signal: AbortSignal): Promise<Response> {
    this.opened.push(place);
    const answer = this.answer();
    if (answer) return answer;
    return new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.controllers.push(controller);
          signal.addEventListener("abort", () => {
            try {
              controller.close();
            } catch {
              // It is closed.
            }
          });
        },
      }),
    );
  }

  async say(text: string): Promise<void> {
    this.controllers.at(-1)?.enqueue(new TextEncoder().encode(text));
    await settled();
  }

  async breakOff(): Promise<void> {
    this.controllers.at(-1)?.error(new Error("gone"));
    await settled();
  }

  /** Let what waits go on. */
  async goOn(): Promise<void> {
    this.resume.splice(0).forEach((resolve) => resolve());
    await settled();
  }

  async show(is: boolean): Promise<void> {
    this.isSeen = is;
    this.onSeen();
    await settled();
  }
}

/** The lock that tabs share. */
class Browser {
  readonly tabs: Tab[] = [];
  private last: Promise<unknown> = Promise.resolve();

  async alone(signal: AbortSignal, lead: () => Promise<void>): Promise<void> {
    const mine = this.last.then(() => (signal.aborted ? undefined : lead()));
    this.last = mine.catch(() => undefined);
    await mine;
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve));
}

const OPEN = "event: open\nid: a-1\ndata: {}\n\n";
const HINT = 'event: hints\nid: a-2\ndata: {"hints": [{"kind": "flow_run", "id": "1"}]}\n\n';
const HINTS = { hints: [{ kind: "flow_run", id: "1" }] };

it("opens one stream for two tabs, and both are told", async () => {
  const browser = new Browser();
  const [first, second] = [new Tab(browser), new Tab(browser)];
  await settled();
  await first.say(OPEN);
  await first.say(HINT);
  expect([first.opened.length, second.opened.length]).toEqual([1, 0]);
  expect([first.news, second.news]).toEqual([[HINTS], [HINTS]]);
  expect([first.stream.link, second.stream.link]).toEqual(["fresh", "fresh"]);
});

it("tells a tab that comes later how it stands", async () => {
  const browser = new Browser();
  const first = new Tab(browser);
  await settled();
  await first.say(OPEN);
  const later = new Tab(browser);
  browser.tabs[0]?.stream.hear({ word: "who" });
  expect(later.stream.link).toBe("fresh");
});

it("lets another tab go on from the last place when the first is hidden or closed", async () => {
  const browser = new Browser();
  const [first, second] = [new Tab(browser), new Tab(browser)];
  await settled();
  await first.say(OPEN);
  await first.say(HINT);
  await first.show(false);
  expect(second.opened).toEqual([]);
  await first.goOn();
  expect(second.opened).toEqual(["a-2"]);
  await first.show(true);
  expect(first.opened.length).toBe(1);
});

it("says nothing of one break, that it is lost after two, and that anything may have changed when it is back", async () => {
  const away = vi.fn<() => Response | null>(() => null);
  const tab = new Tab(new Browser(), away);
  await settled();
  await tab.say(OPEN);
  away.mockReturnValue(new Response("", { status: 503 }));
  await tab.breakOff();
  expect(tab.stream.link).toBe("fresh");
  await tab.goOn();
  expect(tab.stream.link).toBe("lost");
  away.mockReturnValue(null);
  await tab.goOn();
  await tab.say(OPEN);
  expect([tab.stream.link, tab.news]).toEqual(["fresh", ["all"]]);
  expect(tab.opened).toEqual([null, "a-1", "a-1"]);
});

it("waits ever longer between tries, ten seconds or so at most", async () => {
  const tab = new Tab(new Browser(), () => new Response("", { status: 503 }));
  await settled();
  for (let turn = 0; turn < 8; turn += 1) await tab.goOn();
  const tries = tab.waits.filter((ms) => ms < 30_000);
  expect(tries.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(Math.max(...tries)).toBe(10_000);
});

it("is refused by what a gateway says itself, and asks again only after a minute", async () => {
  const tab = new Tab(new Browser(), () => new Response("", { status: 429 }));
  await settled();
  expect([tab.stream.link, tab.refusals, tab.waits.includes(60_000)]).toEqual(["refused", [429], true]);
  expect(tab.opened.length).toBe(1);
});

it("says that a session has ended, so that the page asks who is there", async () => {
  const tab = new Tab(new Browser());
  await settled();
  await tab.say(OPEN + 'event: end\ndata: {"reason": "unauthenticated", "message": "x"}\n\n');
  expect(tab.refusals).toEqual(["ended"]);
});

it("takes a gap and the return of the bus as a time to look at everything", async () => {
  const tab = new Tab(new Browser());
  await settled();
  await tab.say(`${OPEN}event: stale\ndata: {"reason": "x"}\n\n`);
  expect(tab.stream.link).toBe("stale");
  await tab.say("event: fresh\nid: a-5\ndata: {}\n\nevent: gap\nid: a-9\ndata: {}\n\n");
  expect([tab.stream.link, tab.news]).toEqual(["fresh", ["all", "all"]]);
});
