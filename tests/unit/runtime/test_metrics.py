"""Histograms on hot paths."""

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.samples import Sample

from libs.runtime import metrics

_SECONDS = (0.0, 0.001, 0.0011, 0.03, 0.05, 7.0, 1e9)


def samples(histogram: Histogram) -> list[Sample]:
    return [
        sample
        for metric in histogram.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]


def test_what_is_observed_quickly_counts_as_what_the_library_observes() -> None:
    registry = CollectorRegistry()
    quick = Histogram("a", "x", buckets=(0.001, 0.05, 1.0), registry=registry)
    slow = Histogram("a", "x", buckets=(0.001, 0.05, 1.0), registry=None)
    observe = metrics.observer(quick)

    for seconds in _SECONDS:
        observe(seconds)
        slow.observe(seconds)

    assert samples(quick) == samples(slow)
    assert registry.get_sample_value("a_count") == len(_SECONDS)
