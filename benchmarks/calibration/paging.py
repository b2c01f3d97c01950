"""What one pod did in the counted window of a run: the quantities live and simulated runs are compared by."""

from collections.abc import Sequence
from dataclasses import dataclass

from epcgroup.observe.sample import GroupSample, Recording
from epcgroup.units import PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Paging:
    """Figures of a pod in a window.

    Attributes:
        evictions: pages of it written out.
        loads: pages brought in (made or brought back).
        resident_pages: EPC charged, on average over the samples.
    """

    evictions: float
    loads: float
    resident_pages: float

    def values(self) -> tuple[float, float, float]:
        """Return the three, in order."""
        return self.evictions, self.loads, self.resident_pages


@dataclass(frozen=True, slots=True)
class Series:
    """A pod over time, for the plots: seconds, pages charged, pages written out so far."""

    seconds: Sequence[float]
    resident_pages: Sequence[float]
    evictions: Sequence[float]


def series_of(recording: Recording, path: str) -> Series:
    """Return a group of a recording over time."""
    seen = [(sample.t_ns, sample.groups.get(path, GroupSample())) for sample in recording.samples]
    return Series(
        [(t_ns - recording.start_ns) / 1e9 for t_ns, _ in seen],
        [group.current_bytes / PAGE_SIZE for _, group in seen],
        [float(group.evictions) for _, group in seen],
    )


def paging_of(recording: Recording, path: str, window_s: tuple[float, float]) -> Paging:
    """Return what a group did between two times from the start of the run, at the samples nearest to them."""
    start_ns, end_ns = (recording.start_ns + round(t * 1e9) for t in window_s)
    samples = recording.samples
    first = min(range(len(samples)), key=lambda i: abs(samples[i].t_ns - start_ns))
    last = min(range(len(samples)), key=lambda i: abs(samples[i].t_ns - end_ns))
    groups = [sample.groups.get(path, GroupSample()) for sample in samples[first : last + 1]]
    # The samples are not exactly at the ends of the window: counts are scaled to its length.
    scale = (end_ns - start_ns) / (samples[last].t_ns - samples[first].t_ns)
    return Paging(
        (groups[-1].evictions - groups[0].evictions) * scale,
        (groups[-1].granted - groups[0].granted) * scale,
        sum(group.current_bytes for group in groups) / len(groups) / PAGE_SIZE,
    )
