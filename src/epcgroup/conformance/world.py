"""What surrounds the EPC in a trace: processes, their page tables, descriptors, the backing store."""

from dataclasses import dataclass, field

#: PCMD records (128 bytes) in one page of the backing file.
_PCMD_PER_PAGE = 32


@dataclass(slots=True, eq=False)
class Process:
    """A process with one thread; ``serial`` is its pid in the engine's table of members."""

    name: str
    serial: int
    group: int
    signal: bool = False
    node: int = 0
    alive: bool = True


@dataclass(slots=True, eq=False)
class Mapping:
    """The page table of one process over one enclave: bit 0 present, bit 1 accessed, one byte a page."""

    process: Process
    entries: bytearray

    def is_young(self, page: int) -> bool:
        """Return whether the accessed mark of a page is set."""
        return self.entries[page] == 3


@dataclass(slots=True)
class Backing:
    """Pages of a backing file in use: contents and SECS by index, PCMD pages by number."""

    failures: list[int]
    contents: set[int] = field(default_factory=set)
    pcmd: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def get(self, index: int) -> bool:
        """Make the contents and the PCMD page of an index present; False if memory is lacking for one."""
        return self._page(self.contents, index) and self._page(self.pcmd, index // _PCMD_PER_PAGE)

    def _page(self, pages: set[int], number: int) -> bool:
        if number not in pages:
            if self.failures[0] > 0:
                self.failures[0] -= 1
                return False
            pages.add(number)
        return True

    def write(self, index: int) -> None:
        """Note that a page was written out."""
        self.written.add(index)

    def punch(self, index: int) -> None:
        """Drop the contents of a page that was loaded, and its PCMD page when it holds nothing else."""
        self.contents.discard(index)
        self.written.discard(index)
        number = index // _PCMD_PER_PAGE
        if not any(number * _PCMD_PER_PAGE <= each < (number + 1) * _PCMD_PER_PAGE for each in self.written):
            self.pcmd.discard(number)

    @property
    def nr_pages(self) -> int:
        """Pages in use."""
        return len(self.contents) + len(self.pcmd)


@dataclass(slots=True, eq=False)
class Enclave:
    """An enclave as a script names it."""

    name: str
    number: int
    size: int
    creator: Process
    holder: Process | None
    backing: Backing
    mappings: list[Mapping] = field(default_factory=list)
    #: Processes in the order of their first mapping.
    order: list[Process] = field(default_factory=list)
    next_page: int = 0

    def mapping_of(self, process: Process) -> Mapping | None:
        """Return the mapping of a process, None if it has none."""
        return next((each for each in self.mappings if each.process is process), None)

    def zap(self, page: int) -> None:
        """Drop the entries of a page from every page table."""
        for mapping in self.mappings:
            mapping.entries[page] = 0


@dataclass(slots=True, eq=False)
class Guest:
    """A guest EPC area as a script names it; ``present`` holds its pages in the page table of its process."""

    name: str
    number: int
    size: int
    process: Process
    present: set[int] = field(default_factory=set)
