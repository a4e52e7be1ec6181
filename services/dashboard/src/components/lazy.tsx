import { lazy, Suspense, type ComponentProps } from "react";

const Drawn = lazy(() => import("./Graph").then(({ Graph }) => ({ default: Graph })));

/** The graph with its libraries, loaded when it is opened. */
export function Graph(props: ComponentProps<typeof Drawn>) {
  return (
    <Suspense fallback={<p className="quiet">Loading the graph…</p>}>
      <Drawn {...props} />
    </Suspense>
  );
}

const Text = lazy(() => import("./Markdown").then(({ Markdown }) => ({ default: Markdown })));

export function LazyMarkdown(props: ComponentProps<typeof Text>) {
  return (
    <Suspense fallback={<p className="quiet">…</p>}>
      <Text {...props} />
    </Suspense>
  );
}

const Chart = lazy(() => import("./Trend").then(({ Trend }) => ({ default: Trend })));

/** The chart of durations with its library. It keeps its height while that loads. */
export function LazyTrend(props: ComponentProps<typeof Chart>) {
  return (
    <Suspense fallback={<div style={{ height: 218 }} />}>
      <Chart {...props} />
    </Suspense>
  );
}
