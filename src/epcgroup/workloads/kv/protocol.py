"""The text protocol of memcached, the part a store needs: get, set, delete, stats, version, quit.

A session is bytes in, bytes out; it never touches a socket. Not implemented: expiry (times other than 0 are
refused), ``cas`` and the arithmetic commands, which answer ERROR as memcached does for unknown commands.
Source: memcached, doc/protocol.txt.
"""

from collections.abc import Callable
from typing import Final

from epcgroup.errors import EpcError
from epcgroup.workloads.kv.store import Store
from epcgroup.workloads.program import WrongDataError

VERSION: Final = "epcgroup-kv 1"
_END_OF_LINE: Final = b"\r\n"
#: Longest command line: a get of some dozen keys. Longer ones close the session, as garbage does.
_MAX_LINE_BYTES: Final = 8192
_MAX_KEY_BYTES: Final = 250
#: Answers of this length are handed out before the next command is looked at.
_MAX_ANSWERS_BYTES: Final = 128 * 1024
#: Largest value that is taken in at all; the store refuses earlier, but after reading it.
_MAX_VALUE_BYTES: Final = 1 << 20


class _ClientError(Exception):
    """The line is wrong; the text is the answer."""


class Session:
    """One client's conversation with the store.

    Attributes:
        more: commands are left that the last ``feed`` did not look at: feed again, if only with nothing.
        closed: the client said quit, or is not understood: send what is left, then close.
        nr_commands: commands answered.
        nr_wrong: items found damaged.
    """

    __slots__ = ("_handlers", "_rest", "_store", "closed", "more", "nr_commands", "nr_wrong")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rest = b""
        self.closed = False
        self.more = False
        self.nr_commands = 0
        self.nr_wrong = 0
        self._handlers: dict[bytes, Callable[[list[bytes]], bytes]] = {
            b"get": self._get,
            b"delete": self._delete,
            b"stats": self._stats,
            b"version": lambda words: f"VERSION {VERSION}\r\n".encode(),
            b"quit": self._quit,
        }

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they come and return the answers to complete commands, until they are long enough."""
        data = self._rest + data
        position, answers, nr_bytes = 0, [], 0
        self.more = False
        while not self.closed:
            if nr_bytes >= _MAX_ANSWERS_BYTES:
                self.more = True
                break
            end = data.find(_END_OF_LINE, position)
            if end < 0:
                if len(data) - position > _MAX_LINE_BYTES:
                    answers.append(self._garbage("line too long"))
                break
            answer, position_after = self._command(data, position, end)
            if position_after < 0:
                break  # the value has not arrived yet
            position = position_after
            self.nr_commands += 1
            answers.append(answer)
            nr_bytes += len(answer)
        self._rest = data[position:]
        return b"".join(answers)

    def _command(self, data: bytes, position: int, end: int) -> tuple[bytes, int]:
        # (answer, position after the command), or (nothing, -1) if more bytes are needed.
        words = data[position:end].split()
        after = end + len(_END_OF_LINE)
        try:
            if words and words[0] == b"set":
                return self._set(words, data, after)
            handler = self._handlers.get(words[0]) if words else None
            return (handler(words) if handler else b"ERROR\r\n"), after
        except _ClientError as error:
            return f"CLIENT_ERROR {error}\r\n".encode(), after
        except WrongDataError as error:
            self.nr_wrong += 1
            return f"SERVER_ERROR checksum: {error}\r\n".encode(), after

    def _set(self, words: list[bytes], data: bytes, start: int) -> tuple[bytes, int]:
        quiet = words[5:] == [b"noreply"]
        try:
            key = _key(words[1])
            flags, expiry, length = (int(word) for word in words[2:5])
        except (ValueError, IndexError):
            return self._garbage("bad command line format"), start
        if not 0 <= length <= _MAX_VALUE_BYTES or not 0 <= flags < 2**32 or len(words) > 5 + quiet:
            return self._garbage("bad data chunk"), start
        end = start + length
        if len(data) < end + len(_END_OF_LINE):
            return b"", -1
        after = end + len(_END_OF_LINE)
        if data[end:after] != _END_OF_LINE:
            return self._garbage("bad data chunk"), after
        answer = self._store_value(key, flags, expiry, data[start:end])
        return (b"" if quiet else answer), after

    def _store_value(self, key: bytes, flags: int, expiry: int, value: bytes) -> bytes:
        if expiry:
            return b"CLIENT_ERROR expiry is not supported, use 0\r\n"
        try:
            self._store.set(key, flags, value)
        except EpcError as error:
            return f"SERVER_ERROR {error}\r\n".encode()
        except WrongDataError as error:
            self.nr_wrong += 1
            return f"SERVER_ERROR checksum: {error}\r\n".encode()
        return b"STORED\r\n"

    def _get(self, words: list[bytes]) -> bytes:
        if len(words) < 2:
            raise _ClientError("bad command line format")
        parts = []
        for key in words[1:]:
            found = self._store.get(_key(key))
            if found is not None:
                flags, value = found
                parts.append(b"VALUE %s %d %d\r\n%s\r\n" % (key, flags, len(value), value))
        parts.append(b"END\r\n")
        return b"".join(parts)

    def _delete(self, words: list[bytes]) -> bytes:
        quiet = words[2:] == [b"noreply"]
        if len(words) != 2 + quiet:
            raise _ClientError("bad command line format")
        answer = b"DELETED\r\n" if self._store.delete(_key(words[1])) else b"NOT_FOUND\r\n"
        return b"" if quiet else answer

    def _stats(self, words: list[bytes]) -> bytes:
        fields = {"curr_items": self._store.nr_items, "bytes": self._store.used_bytes}
        return b"".join(b"STAT %s %d\r\n" % (name.encode(), n) for name, n in fields.items()) + b"END\r\n"

    def _quit(self, words: list[bytes]) -> bytes:
        self.closed = True
        return b""

    def _garbage(self, why: str) -> bytes:
        # What follows cannot be told apart from a command: answering it would be answering a value.
        self.closed = True
        return f"CLIENT_ERROR {why}\r\n".encode()


def _key(word: bytes) -> bytes:
    if len(word) > _MAX_KEY_BYTES:
        raise _ClientError(f"key of {len(word)} bytes, the longest is {_MAX_KEY_BYTES}")
    return word
