"""Latencies counted in log-linear buckets: cheap to add to, exact to merge, never averaged.

Values below 64 have a bucket each; above, every power of two is cut into 32 buckets of equal width, so a
bucket is never wider than 1/32 of its values and its middle is at most 1.6 % away from any of them.
Invariant: two histograms of the same events, cut and merged in any way, are equal.
"""

from collections.abc import Iterable, Mapping
from typing import Final

#: Buckets in each power of two: 2**5 keeps the error below 2 %; one bit more doubles the memory.
_BITS: Final = 5
_PER_POWER: Final = 1 << _BITS
_LINEAR: Final = _PER_POWER << 1
_MAX_VALUE: Final = 2**63 - 1


def bucket_of(value_ns: int) -> int:
    """Return the index of the bucket of a value; negative values count as 0, huge ones as 2**63 - 1."""
    if value_ns < _LINEAR:
        return max(value_ns, 0)
    shift = min(value_ns, _MAX_VALUE).bit_length() - _BITS - 1
    return (shift << _BITS) + (min(value_ns, _MAX_VALUE) >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """Return the lowest value of a bucket and the lowest value above it, in ns."""
    if bucket < _LINEAR:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    low = (bucket - (shift << _BITS)) << shift
    return low, low + (1 << shift)


class Histogram:
    """How many values fell into each bucket; percentiles are off by at most 1.6 %."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # mutable: a hash would change

    def __len__(self) -> int:
        """Return the number of values counted."""
        return self._total

    def __bool__(self) -> bool:
        return self._total > 0

    def __repr__(self) -> str:
        return f"<Histogram of {self._total} values, p50 {self.percentile(50)} ns>"

    def add(self, value_ns: int, count: int = 1) -> None:
        """Count a value, in nanoseconds, ``count`` times."""
        bucket = bucket_of(value_ns)
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self._total += count

    def percentile(self, percent: float) -> int | None:
        """Return the value in ns that ``percent`` (0..100) of all values do not exceed, None when empty.

        It is the middle of the bucket that holds the value of the nearest rank.
        """
        if not self._total:
            return None
        rank = max(1, -(-self._total * percent // 100))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                break
        low, above = bounds_of(bucket)
        return (low + above - 1) // 2

    def merge(self, other: "Histogram") -> None:
        """Add all values of another histogram to this one."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self._total += other._total

    def subtract(self, earlier: "Histogram") -> "Histogram":
        """Return the values counted since ``earlier``, a previous state of the same histogram.

        Raises:
            ValueError: ``earlier`` holds a value that this one lacks, so it is no earlier state of it.
        """
        difference = Histogram()
        for bucket in self._counts.keys() | earlier._counts.keys():
            count = self._counts.get(bucket, 0) - earlier._counts.get(bucket, 0)
            if count < 0:
                raise ValueError(f"bucket {bucket} has {-count} fewer values than in the earlier histogram")
            if count:
                difference._counts[bucket] = count
                difference._total += count
        return difference

    def copy(self) -> "Histogram":
        """Return an independent copy."""
        return Histogram.from_dict(self._counts)

    def to_dict(self) -> dict[int, int]:
        """Return count by bucket index, without empty buckets, in ascending order."""
        return dict(sorted(self._counts.items()))

    @classmethod
    def from_dict(cls, counts: Mapping[int, int] | Mapping[str, int]) -> "Histogram":
        """Return a histogram of the counts of :meth:`to_dict`; keys may be text, as JSON makes them.

        Raises:
            ValueError: a key or count is not a number of zero or more.
        """
        histogram = cls()
        for key, count in counts.items():
            bucket = int(key)
            if bucket < 0 or count < 0:
                raise ValueError(f"bucket {key!r} with count {count!r}: both must be 0 or more")
            if count:
                histogram._counts[bucket] = histogram._counts.get(bucket, 0) + count
                histogram._total += count
        return histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return one histogram of all values: the only right way to combine percentiles."""
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total
