"""The pager as a child process: started, watched, stopped."""

import json
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from epcgroup.abi.control import ControlClient
from epcgroup.errors import EpcError, PagerDiedError, RunError
from epcgroup.node.process import end_with_parent
from epcgroup.pager.state_file import default_path
from epcgroup.units import PAGE_SIZE

#: The engine may have to be compiled once, on a busy machine.
_READY_SECONDS: Final = 180.0
#: After this time without a word the user is told what takes so long.
_PATIENCE_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 10.0
#: Groups a pager has room for unless told otherwise.
_NR_GROUPS: Final = 1024
_NR_SPARE_GROUPS: Final = 256


@dataclass(frozen=True, slots=True)
class PagerOptions:
    """How to run a pager.

    Attributes:
        epc_bytes: size of the EPC.
        series: ``mainline``, ``v17`` or ``fair``.
        ager: name of the ager, or None for the pager's own choice.
        extra: further words of the command line.
    """

    epc_bytes: int
    series: str
    ager: str | None = None
    extra: tuple[str, ...] = ()


def with_room_for(nr_groups: int, options: PagerOptions) -> PagerOptions:
    """Return options for a pager with room for so many groups, and for some that others may make."""
    nr_needed = nr_groups + _NR_SPARE_GROUPS
    if nr_needed <= _NR_GROUPS:
        return options
    return replace(options, extra=(*options.extra, "--nr-groups", str(nr_needed)))


class PagerProcess:
    """A pager of our own, in its own session.

    Attributes:
        socket: the socket it serves.
        log: file of its log.
        ready: what it said when it began to serve.

    Raises:
        RunError: it did not begin to serve; the message holds the last lines of its log.
    """

    def __init__(
        self, folder: Path, log: Path, options: PagerOptions, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.socket = folder / "pager.sock"
        self.log = log
        self.ready: dict[str, Any] = {}
        self._control: ControlClient | None = None
        words = self._words(folder, options)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output,
                start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        try:
            self.ready = self._wait_ready(say)
        except BaseException:
            self.stop()
            raise

    def _words(self, folder: Path, options: PagerOptions) -> list[str]:
        size = str(options.epc_bytes // PAGE_SIZE * PAGE_SIZE)
        words = [sys.executable, "-m", "epcgroup.pager", "--socket", str(self.socket), "--epc", size]
        words += ["--series", options.series, "--log", str(self.log)]
        if options.ager is not None:
            words += ["--ager", options.ager]
        return [*words, *options.extra]

    def _wait_ready(self, say: Callable[[str], None]) -> dict[str, Any]:
        output = self._output()
        if not select.select([output], [], [], _PATIENCE_SECONDS)[0]:
            say(f"waiting for the pager: {last_lines(self.log, 1)}")
        if select.select([output], [], [], _READY_SECONDS)[0]:
            line = output.readline().decode(errors="replace").strip()
            if line:
                return self._parse_ready(line)
            self._process.wait(_STOP_SECONDS)
            raise RunError(f"the pager ended before it could serve: {last_lines(self.log)}")
        raise RunError(
            f"the pager did not begin to serve within {_READY_SECONDS:.0f} s: {last_lines(self.log)}"
        )

    def _parse_ready(self, line: str) -> dict[str, Any]:
        text = line.removeprefix("ready").strip()
        try:
            ready = json.loads(text) if text else {}
        except ValueError as error:
            raise RunError(f"the pager said {line[:200]!r} instead of that it is ready") from error
        return ready if isinstance(ready, dict) else {}

    def _output(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise RunError("the pager has no standard output")
        return self._process.stdout

    @property
    def pid(self) -> int:
        """Process id of the pager."""
        return self._process.pid

    @property
    def control(self) -> ControlClient:
        """The control connection, opened on first use."""
        if self._control is None:
            self._control = ControlClient(self.socket)
        return self._control

    def check(self) -> None:
        """Raise PagerDiedError if the pager has ended."""
        status = self._process.poll()
        if status is not None:
            raise PagerDiedError(f"the pager ended with status {status}: {last_lines(self.log)}")

    def stop(self) -> None:
        """End the pager: ask, then signal, then kill; harmless when it has ended."""
        for act in (self._ask_to_end, self._process.terminate, self._process.kill):
            if self._process.poll() is None:
                act()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)
        if self._control is not None:
            self._control.close()
        self._output().close()
        # A pager that was killed, perhaps before it was ready, could not take its shared state away.
        state = self.ready.get("state", default_path(str(self.socket)))
        Path(str(state)).unlink(missing_ok=True)

    def _ask_to_end(self) -> None:
        try:
            self.control.shutdown()
        except (EpcError, OSError):
            self._process.terminate()


def last_lines(path: Path, nr_lines: int = 3) -> str:
    """Return the last lines of a log in one line, or where to look."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return " | ".join(lines[-nr_lines:]) if lines else f"nothing in {path}"
