"""Page numbers as compiled code takes them."""

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

#: Most pages of one call: what a pipe of 1 MiB holds.
MAX_PAGES: Final = 256
# Words of the array behind the numbers.
SCRATCH, ENCLAVE, GROUP = range(MAX_PAGES, MAX_PAGES + 3)


class Pages:
    """Up to ``MAX_PAGES`` page numbers of one enclave, ascending, as compiled code takes them.

    ``array``: int64; behind the numbers a word for calls, and the enclave and group of a plain batch.
    """

    __slots__ = ("_words", "array", "nr")

    def __init__(self) -> None:
        words = array("q", bytes(8 * (MAX_PAGES + 3)))
        self._words = memoryview(words)
        self.array = np.frombuffer(words, np.int64)
        self.nr = 0

    def fill(self, pages: Sequence[int]) -> None:
        """Hold these pages."""
        self.nr = len(pages)
        self._words[: self.nr] = array("q", pages)

    def tolist(self) -> list[int]:
        """Return the page numbers."""
        return self._words[: self.nr].tolist()

    @property
    def enclave(self) -> int:
        """The enclave of the plain batch."""
        return self._words[ENCLAVE]

    @property
    def group(self) -> int:
        """The group charged for the plain batch."""
        return self._words[GROUP]
