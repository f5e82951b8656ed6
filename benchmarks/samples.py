"""Samples and their statistics."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the sorted values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Samples:
    """Times in seconds, by name."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, seconds: float) -> None:
        """Take one sample."""
        self._of[name].append(seconds)

    def count(self, name: str) -> int:
        """Return how many samples there are of a name."""
        return len(self._of[name])

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return number, median, 99th percentile and maximum of each, in milliseconds."""
        return {
            name: {
                'samples': len(values),
                'p50_ms': round(quantile(values, 0.5) * 1e3, 3),
                'p99_ms': round(quantile(values, 0.99) * 1e3, 3),
                'max_ms': round(max(values) * 1e3, 3),
            }
            for name, values in self._of.items()
        }
