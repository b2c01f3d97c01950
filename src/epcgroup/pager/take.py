"""Taking pages of an enclave into one buffer: shared by reclaim and ager."""

from collections.abc import Iterator, Sequence

from epcgroup.pager.buffer import Buffer
from epcgroup.pager.enclave import Enclave
from epcgroup.pager.evict import Evictor
from epcgroup.pager.pages import Pages


class Taker:
    """An evictor and the buffer it takes into; ``pages[i]`` is the i-th of the ``chosen`` pages."""

    def __init__(self, evictor: Evictor) -> None:
        self.evictor = evictor
        self.max_pages = evictor.max_pages
        self.chosen = Pages()
        self._buffer = Buffer(evictor.max_pages)
        self.pages = self._buffer.pages

    def take(self, enclave: Enclave, pages: Sequence[int]) -> None:
        """Choose pages (ascending, at most ``max_pages``) and take them."""
        self.chosen.fill(pages)
        self.take_chosen(enclave)

    def take_chosen(self, enclave: Enclave) -> None:
        """Take the chosen pages out of their file; raises as ``Evictor.take``."""
        self.evictor.take(enclave, self.chosen, self._buffer)

    def settle(self, enclave: Enclave) -> None:
        """The state of the pages taken last is right again."""
        self.evictor.settle(enclave, self.chosen)


def by_enclave(rows: Sequence[tuple[int, int]], longest: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (enclave, pages) of sorted (enclave, page), at most ``longest`` pages at a time."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end][0] != rows[start][0] or end - start == longest:
            yield rows[start][0], [page for _, page in rows[start:end]]
            start = end
