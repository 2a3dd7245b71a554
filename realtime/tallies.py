"""Counters for the hot path: plain numbers that Prometheus reads when it asks.

The client library's own instruments take a lock and look labels up, 1 to 3 µs a touch. These are
touched from the event loop alone, so a plain number will do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter without labels. `name` as Prometheus shows it, without `_total`."""

    def __init__(self, name: str, help_: str, registry: CollectorRegistry) -> None:
        self.count = 0
        self._name = name
        self._help = help_
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._help, value=self.count)


class TallyByLabel(Collector):
    """A counter by one label: `counts[value] += 1`. The values are known beforehand."""

    def __init__(
        self, name: str, help_: str, label: str, values: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self.counts = dict.fromkeys(values, 0)
        self._name = name
        self._help = help_
        self._label = label
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._help, labels=[self._label])
        for value, count in self.counts.items():
            family.add_metric([value], count)
        yield family


class Distribution(Collector):
    """A histogram without labels. `bounds` are the buckets' upper ends, ascending."""

    def __init__(
        self, name: str, help_: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        ends = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        cumulated = list(zip(ends, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._help, buckets=cumulated, sum_value=self._sum)
