"""A B+tree of 64-bit keys and values laid out in a buffer, one node a page.

Node 0 is the header. Every other node is 512 words of 8 bytes: number of keys, kind, next leaf, then the keys
from word 8 on and the values (in a leaf) or children (in an inner node, one more than keys) from word 256 on.
Child ``i`` holds the keys below key ``i``, the last child the rest. Whatever is read from the buffer may be
damaged: a node that cannot be is ``WrongDataError``, never a wrong answer or an endless loop.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from epcgroup.errors import TableFullError
from epcgroup.units import PAGE_SIZE
from epcgroup.workloads.program import WrongDataError

_WORDS: Final = PAGE_SIZE // 8
_COUNT, _KIND, _NEXT = 0, 1, 2
_LEAF, _INNER = 0x4C454146, 0x494E4E52
_KEYS: Final = 8
_VALUES: Final = 256
#: Most keys of a node: what fits between the two arrays.
ORDER: Final = _VALUES - _KEYS
_MAX_DEPTH: Final = 16
# Words of the header.
_ROOT, _NR_NODES, _NR_KEYS, _FIRST_LEAF = range(4)


class Tree:
    """A map of unsigned 64-bit integers in a buffer; the buffer must be zero at first."""

    __slots__ = ("_nodes", "_words")

    def __init__(self, memory: memoryview) -> None:
        """Make an empty tree in a buffer.

        Raises:
            TableFullError: the buffer has less than two pages.
        """
        self._nodes = len(memory) // PAGE_SIZE
        self._words = memory[: self._nodes * PAGE_SIZE].cast("Q")
        if self._nodes < 2:
            raise TableFullError(f"a tree needs two pages of {PAGE_SIZE} bytes, there are {self._nodes}")
        self._words[_NR_NODES] = 1
        self._words[_ROOT] = self._words[_FIRST_LEAF] = self._new_node(_LEAF)

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._words[_NR_KEYS]

    @property
    def nr_free_nodes(self) -> int:
        """How many nodes can still be made; an insert needs at most one a level and one."""
        return self._nodes - self._words[_NR_NODES]

    def get(self, key: int) -> int | None:
        """Return the value of a key, None if there is none.

        Raises:
            WrongDataError: the way to the key is damaged.
        """
        base, count = self._descend(key)[-1][:2]
        place = bisect_left(self._words, key, base + _KEYS, base + _KEYS + count)
        if place < base + _KEYS + count and self._words[place] == key:
            return self._words[place - _KEYS + _VALUES]
        return None

    def insert(self, key: int, value: int) -> None:
        """Set the value of a key.

        Raises:
            TableFullError: no node is left; the tree is unchanged.
            WrongDataError: the way to the key is damaged.
        """
        way = self._descend(key)
        base, count, _ = way.pop()
        words = self._words
        index = bisect_left(words, key, base + _KEYS, base + _KEYS + count) - base - _KEYS
        if index < count and words[base + _KEYS + index] == key:
            words[base + _VALUES + index] = value
            return
        if self.nr_free_nodes < len(way) + 2:
            raise TableFullError(f"all {self._nodes} nodes of the tree are in use")
        self._put(base, count, index, index, key, value)
        words[_NR_KEYS] += 1
        full = count + 1 == ORDER
        while full:
            full = self._split(base, index == count, way)
            if way:
                base, count, index = way.pop()

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield keys and values in order, checking it.

        Raises:
            WrongDataError: a leaf is damaged, keys are out of order, or some are missing.
        """
        words = self._words
        node, last, seen = words[_FIRST_LEAF], -1, 0
        for _ in range(self._nodes):
            if not node:
                break
            base, count, kind = self._node(node)
            if kind != _LEAF:
                raise WrongDataError(f"btree: node {node} in the chain of leaves is no leaf")
            for index in range(base, base + count):
                key = words[index + _KEYS]
                if key <= last:
                    raise WrongDataError(f"btree: key {key} follows {last} in node {node}")
                yield key, words[index + _VALUES]
                last = key
            seen += count
            node = words[base + _NEXT]
        if node:
            raise WrongDataError("btree: the chain of leaves has no end")
        if seen != len(self):
            raise WrongDataError(f"btree: {seen} keys in the leaves, {len(self)} were inserted")

    def _node(self, node: int) -> tuple[int, int, int]:
        # First word, number of keys, kind of a node; refuses what cannot be one.
        if not 0 < node < self._words[_NR_NODES] <= self._nodes:
            raise WrongDataError(f"btree: node {node} of {self._words[_NR_NODES]} does not exist")
        base = node * _WORDS
        count, kind = self._words[base + _COUNT], self._words[base + _KIND]
        if count >= ORDER or kind not in (_LEAF, _INNER):
            raise WrongDataError(f"btree: node {node} has {count} keys and kind {kind:#x}")
        return base, count, kind

    def _descend(self, key: int) -> list[tuple[int, int, int]]:
        # (first word, number of keys, index of the child taken) from the root down to the leaf.
        way: list[tuple[int, int, int]] = []
        node = self._words[_ROOT]
        for _ in range(_MAX_DEPTH):
            base, count, kind = self._node(node)
            if kind == _LEAF:
                way.append((base, count, 0))
                return way
            index = bisect_right(self._words, key, base + _KEYS, base + _KEYS + count) - base - _KEYS
            way.append((base, count, index))
            node = self._words[base + _VALUES + index]
        raise WrongDataError(f"btree: more than {_MAX_DEPTH} levels below the root")

    def _new_node(self, kind: int) -> int:
        node = self._words[_NR_NODES]
        self._words[_NR_NODES] = node + 1
        self._words[node * _WORDS + _KIND] = kind
        return node

    def _put(self, base: int, count: int, index: int, place: int, key: int, value: int) -> None:
        # Make room at ``index`` of the keys and ``place`` of the values or children, and fill it.
        words = self._words
        at = base + _KEYS
        words[at + index + 1 : at + count + 1] = words[at + index : at + count]
        words[at + index] = key
        at = base + _VALUES
        last = count + place - index
        words[at + place + 1 : at + last + 1] = words[at + place : at + last]
        words[at + place] = value
        words[base + _COUNT] = count + 1

    def _split(self, base: int, at_end: bool, way: list[tuple[int, int, int]]) -> bool:
        # Move the upper keys of a full node to a new one and tell the parent; True if that is full then.
        words = self._words
        count, kind = words[base + _COUNT], words[base + _KIND]
        # Keys that come in order fill their nodes: only the last one moves.
        keep = count - 1 if at_end else count // 2
        node = self._new_node(kind)
        other = node * _WORDS
        middle = words[base + _KEYS + keep]
        # In an inner node the middle key moves up; in a leaf it is the first of the new one.
        skip = 1 if kind == _INNER else 0
        moved = count - keep - skip
        words[other + _KEYS : other + _KEYS + moved] = words[
            base + _KEYS + keep + skip : base + _KEYS + count
        ]
        words[other + _VALUES : other + _VALUES + moved + skip] = words[
            base + _VALUES + keep + skip : base + _VALUES + count + skip
        ]
        words[other + _COUNT], words[base + _COUNT] = moved, keep
        if kind == _LEAF:
            words[other + _NEXT], words[base + _NEXT] = words[base + _NEXT], node
        if not way:
            self._grow(base // _WORDS, middle, node)
            return False
        parent, nr_keys, index = way[-1]
        self._put(parent, nr_keys, index, index + 1, middle, node)
        return nr_keys + 1 == ORDER

    def _grow(self, left: int, middle: int, right: int) -> None:
        # A new root above two nodes.
        root = self._new_node(_INNER)
        words, base = self._words, root * _WORDS
        words[base + _COUNT] = 1
        words[base + _KEYS] = middle
        words[base + _VALUES], words[base + _VALUES + 1] = left, right
        words[_ROOT] = root
