"""Reading the processes' metrics and comparing two readings."""

from __future__ import annotations

import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]
Reading = dict[tuple[str, Labels], float]
"""(sample name, its labels sorted) -> value, summed over processes."""


def read_all(ports: Mapping[str, int], seconds: float = 2.0) -> tuple[Reading, list[str]]:
    """One reading over all processes by their loopback ports, and the names of those that didn't answer."""
    with ThreadPoolExecutor(max(1, len(ports))) as pool:
        pages = dict(zip(ports, pool.map(lambda port: _page(port, seconds), ports.values()), strict=True))
    silent = [name for name, page in pages.items() if page is None]
    return parse(page for page in pages.values() if page is not None), silent


def parse(pages: Iterable[str]) -> Reading:
    """Sums samples of the same name and labels over pages: counters and gauges of different processes add up."""
    reading: Reading = defaultdict(float)
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                reading[sample.name, tuple(sorted(sample.labels.items()))] += sample.value
    return dict(reading)


def by_labels(reading: Reading, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Values of `name` summed over all labels but these."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for (sample, having), value in reading.items():
        if sample == name:
            found[tuple(dict(having).get(label, "") for label in labels)] += value
    return dict(found)


def since(earlier: Reading, later: Reading) -> Reading:
    """How far each sample rose; what is smaller than before was restarted and counts from 0."""
    return {key: value - earlier.get(key, 0.0) if value >= earlier.get(key, 0.0) else value for key, value in later.items()}


def quantile(reading: Reading, name: str, share: float) -> float | None:
    """A quantile of histogram `name` (over all its labels), s, linear within its bucket; None without observations."""
    bounds: dict[float, float] = defaultdict(float)
    for (sample, labels), value in reading.items():
        if sample == f"{name}_bucket":
            bounds[float(dict(labels)["le"])] += value
    total = bounds.get(float("inf"), 0.0)
    if not total:
        return None
    lower, below = 0.0, 0.0
    for bound, count in sorted(bounds.items()):
        if count >= share * total:
            return lower if bound == float("inf") else lower + (bound - lower) * (share * total - below) / max(count - below, 1e-9)
        lower, below = bound, count
    return lower


def _page(port: int, seconds: float) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=seconds) as answer:
            text: bytes = answer.read()
    except OSError:
        return None
    return text.decode()
