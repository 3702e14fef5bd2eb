"""Metrics for Prometheus, exact over several processes.

All processes share one memory, cut into slabs. Only one process writes to a slab, so
no process waits for another; whoever is asked for the metrics reads all slabs.

A slab holds, in this order:

- a word of 8 bytes: how many bytes of records follow;
- the records, one a line: the JSON array of a family's name, the values of its labels
  and the index of its first cell, in words from the beginning of the slab;
- room;
- the cells, float64, the latest first. A counter and a gauge have one cell, a histogram
  has one for each bucket, not cumulative, one for what is above, and one for the sum.

A record is written first and counted last: a reader never sees a part of one.
"""

import json
import logging
import mmap
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import isnan, nan
from operator import add
from threading import Lock
from typing import Final, TypeAlias, TypeVar

import orjson
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from typing_extensions import Buffer

from sigmoid_serve.monitoring.families import FAMILIES, Family, Kind

logger = logging.getLogger("sigmoid_serve")

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
# A version of a model takes 1.3 to 2.5 KiB, by the length of its name.
SLAB_BYTES: Final = 2**19

_WORD: Final = 8
_MERGE: Final[dict[str, Callable[[float, float], float]]] = {
    "sum": add,
    "max": max,
    "min": min,
}

_Cells: TypeAlias = "memoryview[float]"
_Key: TypeAlias = tuple[str, ...]

_MOST_CELLS: Final = max(family.cells for family in FAMILIES.values())


class Counter:
    """A number that only grows, in the first of its cells; one thread may write."""

    __slots__ = ("cells",)

    def __init__(self, cells: _Cells) -> None:
        self.cells = cells

    def add(self, amount: float = 1.0) -> None:
        """Count more; `amount` is not negative."""
        self.cells[0] += amount


class Gauge:
    """A number that goes up and down; one thread may write to it."""

    __slots__ = ("_cells",)

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells

    def set(self, value: float) -> None:
        """Replace the value."""
        self._cells[0] = value

    def forget(self) -> None:
        """Leave the series out until it is set again."""
        self._cells[0] = nan


class Histogram:
    """How often values fell into each bucket; one thread may write to it."""

    __slots__ = ("_bounds", "_cells")

    def __init__(self, cells: _Cells, bounds: tuple[float, ...]) -> None:
        self._cells = cells
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count a value; it belongs to the first bucket whose bound is not below."""
        cells = self._cells
        cells[bisect_left(self._bounds, value)] += 1.0
        cells[-1] += value


_Series = TypeVar("_Series", Counter, Gauge, Histogram)


class Metrics:
    """The series that this process writes.

    Series may be made on any thread. Each must be written from one thread only, as
    adding to a cell reads it and then writes it.

    A process that replaces another opens the slab of that one, which must have ended.
    It goes on counting where the other stopped; the gauges are forgotten.

    Args:
        memory: Writable, of some slabs of `SLAB_BYTES`; all bytes are 0 at first.
        slab: Which of them, from 0.

    Raises:
        ValueError: There is no such slab.
    """

    def __init__(self, memory: Buffer, slab: int) -> None:
        slabs = _slabs(memory)
        if not 0 <= slab < len(slabs):
            raise ValueError(
                f"expected a slab from 0 to {len(slabs) - 1}, got {slab}; "
                "give the memory one slab for each process that writes"
            )
        self._bytes = slabs[slab]
        self._cells = self._bytes.cast("d")
        self._length = self._bytes.cast("q")
        self._lock = Lock()
        self._spare = memoryview(bytearray(_WORD * _MOST_CELLS)).cast("d")
        self._has_warned = False
        self._counters: dict[_Key, Counter] = {}
        self._gauges: dict[_Key, Gauge] = {}
        self._histograms: dict[_Key, Histogram] = {}
        self._found: dict[_Key, int] = {}
        self._lowest = SLAB_BYTES // _WORD
        for family, values, first in _records(self._bytes):
            self._found[family.name, *values] = first
            self._lowest = min(self._lowest, first)
            if family.kind == "gauge":
                self._cells[first] = nan

    def counter(self, name: str, *values: str) -> Counter:
        """Find or make the counter of these values of the labels.

        Where the slab has no room for another series, what is written is lost; a
        warning says so once.

        Raises:
            ValueError: `FAMILIES` has no counter of this name with so many labels.
        """
        return self._counters.get((name, *values)) or self._make(
            self._counters, "counter", (name, *values), lambda f, cells: Counter(cells)
        )

    def gauge(self, name: str, *values: str) -> Gauge:
        """Find or make a gauge, as `counter` does; it is forgotten until it is set."""
        return self._gauges.get((name, *values)) or self._make(
            self._gauges, "gauge", (name, *values), lambda f, cells: Gauge(cells)
        )

    def histogram(self, name: str, *values: str) -> Histogram:
        """Find or make a histogram, as `counter` does."""
        return self._histograms.get((name, *values)) or self._make(
            self._histograms,
            "histogram",
            (name, *values),
            lambda f, cells: Histogram(cells, f.bounds),
        )

    def _make(
        self,
        made: dict[_Key, _Series],
        kind: Kind,
        key: _Key,
        make: Callable[[Family, _Cells], _Series],
    ) -> _Series:
        family = FAMILIES.get(key[0])
        if family is None or family.kind != kind or len(family.labels) != len(key) - 1:
            raise ValueError(
                f"expected the name of a {kind} and the values of its labels, got "
                f"{str(key)[:200]}; monitoring/families.py has them all"
            )
        with self._lock:
            if key not in made:
                first = self._found.get(key) or self._append(family, key)
                cells = self._cells if first else self._spare
                made[key] = make(family, cells[first : first + family.cells])
            return made[key]

    def _append(self, family: Family, key: _Key) -> int:
        """Write a record; return the index of the first cell, 0 if there is no room."""
        first = self._lowest - family.cells
        text = json.dumps([family.name, key[1:], first], ensure_ascii=False) + "\n"
        # A lone surrogate would fail here, or else at every exposition.
        record = text.encode("utf-8", "replace")
        begin = _WORD + self._length[0]
        end = begin + len(record)
        if end > first * _WORD:
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "metrics: no room for the series %s, its values are lost",
                    str(key)[:200],
                )
            return 0
        # Whoever had the slab before may have died before it counted its last record.
        for cell in range(first, self._lowest):
            self._cells[cell] = nan if family.kind == "gauge" else 0.0
        self._bytes[begin:end] = record
        self._length[0] = end - _WORD
        self._lowest = first
        return first


def new_memory(slabs: int) -> mmap.mmap:
    """Make memory for the metrics of one process, with its own threads.

    Several processes share a `RawArray("B", slabs * SLAB_BYTES)` of multiprocessing.
    """
    return mmap.mmap(-1, slabs * SLAB_BYTES)


def exposition(memory: Buffer) -> bytes:
    """Write what all processes counted, in the text format of Prometheus 0.0.4.

    Args:
        memory: As given to `Metrics`.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(memory))
    return generate_latest(registry)


class _Collector:
    def __init__(self, memory: Buffer) -> None:
        self._memory = memory

    def collect(self) -> list[Metric]:
        merged = merged_cells(self._memory)
        return [_metric(family, merged[name]) for name, family in FAMILIES.items()]


def merged_cells(memory: Buffer) -> dict[str, dict[_Key, list[float]]]:
    """Merge the cells of all processes; by family and values of its labels.

    Args:
        memory: As given to `Metrics`.
    """
    merged: dict[str, dict[_Key, list[float]]] = {name: {} for name in FAMILIES}
    for slab in _slabs(memory):
        cells = slab.cast("d")
        for family, values, first in _records(slab):
            new = list(cells[first : first + family.cells])
            if family.kind == "gauge" and isnan(new[0]):
                continue
            series = merged[family.name]
            old = series.get(values)
            series[values] = list(map(_MERGE[family.merge], old, new)) if old else new
    return merged


def _metric(family: Family, series: dict[_Key, list[float]]) -> Metric:
    name, kind, text, labels, bounds, _ = family
    if kind == "histogram":
        histogram = HistogramMetricFamily(name, text, labels=labels)
        limits = [*map(str, bounds), "+Inf"]
        for values, (*counts, total) in sorted(series.items()):
            buckets = list(zip(limits, accumulate(counts), strict=True))
            histogram.add_metric(values, buckets, total)
        return histogram
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    metric = make(name, text, labels=labels)
    for values, cells in sorted(series.items()):
        metric.add_metric(values, cells[0])
    return metric


def _slabs(memory: Buffer) -> list["memoryview[int]"]:
    whole = memoryview(memory).cast("B")
    return [
        whole[begin : begin + SLAB_BYTES]
        for begin in range(0, len(whole) - SLAB_BYTES + 1, SLAB_BYTES)
    ]


def _records(slab: "memoryview[int]") -> Iterator[tuple[Family, _Key, int]]:
    """Read the family, values of labels and first cell of each series."""
    used: int = slab[:_WORD].cast("q")[0]
    for line in bytes(slab[_WORD : _WORD + used]).splitlines():
        name, values, first = orjson.loads(line)
        yield FAMILIES[name], tuple(values), first
