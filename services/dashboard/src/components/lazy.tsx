import { lazy, Suspense, type ComponentProps } from "react";

const Drawn = lazy(() => import("./Graph").then(({ Graph }) => ({ default: Graph })));

/** Stands for a part whose code is on its way. */
function Coming({ what, height = 40 }: { what: string; height?: number }) {
  return (
    <div className="quiet" role="status" aria-busy="true" style={{ height }}>
      Loading {what}…
    </div>
  );
}

/** The graph with its libraries, loaded when it is opened. */
export function Graph(props: ComponentProps<typeof Drawn>) {
  return (
    <Suspense fallback={<Coming what="the graph" />}>
      <Drawn {...props} />
    </Suspense>
  );
}

const Text = lazy(() => import("./Markdown").then(({ Markdown }) => ({ default: Markdown })));

export function LazyMarkdown(props: ComponentProps<typeof Text>) {
  return (
    <Suspense fallback={<Coming what="the text" />}>
      <Text {...props} />
    </Suspense>
  );
}

const Chart = lazy(() => import("./Trend").then(({ Trend }) => ({ default: Trend })));

/** The chart of durations with its library. It keeps its height while that loads. */
export function LazyTrend(props: ComponentProps<typeof Chart>) {
  return (
    <Suspense fallback={<Coming what="the chart" height={218} />}>
      <Chart {...props} />
    </Suspense>
  );
}
