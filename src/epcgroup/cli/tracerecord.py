"""``epcg trace record``: the pages of a live group, as its pager sees them."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from epcgroup.cli.options import StopSignals, duration_ns, json_option
from epcgroup.cli.traceoptions import output_option, say
from epcgroup.errors import EpcError, PagerDiedError, RunError, UsageError

if TYPE_CHECKING:
    from epcgroup.abi.control import ControlClient
    from epcgroup.sim.trace.recorded import Transcript

#: Seconds between two looks at what the pager has for us.
_PAUSE: Final = 0.1


@click.command(short_help="Record the pages of a running pod.")
@click.argument("group", metavar="POD[/CONTAINER]")
@output_option
@click.option("--socket", type=click.Path(path_type=Path), default=None, metavar="PATH",
              help="Socket of the pager.  [default: that of the only run on this machine]")  # fmt: skip
@click.option("--duration", default=None, metavar="TIME", help="Stop after this time, for example 30s.")
@click.option("--faults-only", is_flag=True, help="Leave out the touches that the ager sees.")
@json_option
def record(
    group: str, out: Path, socket: Path | None, duration: str | None, faults_only: bool, as_json: bool
) -> None:
    """Record a pod of a running epcg run until Ctrl-C, --duration or its end.

    Faults are recorded exactly. Between its faults a page is seen only where the pager's ager tries whether
    it is used: these touches are an estimate, and the trace says so. A path that begins with / is any group.
    """
    from epcgroup.abi.control import ControlClient

    path = group if group.startswith("/") else f"/kubepods/{group}"
    length_ns = None if duration is None else duration_ns(duration)
    with ControlClient(socket or _only_socket()) as control, StopSignals() as stop:
        say(_record(control, path, out, length_ns, faults_only, stop), as_json)


def _record(
    control: "ControlClient",
    path: str,
    out: Path,
    length_ns: int | None,
    faults_only: bool,
    stop: StopSignals,
) -> dict[str, Any]:
    """Record to a file; return what was recorded, for people and JSON."""
    from epcgroup.sim.trace.recorded import UNIT_NS, Transcript
    from epcgroup.sim.trace.writer import open_writer

    provenance = {"format": "recorded", "group": path, "estimated": not faults_only}
    with open_writer(out, provenance, unit_ns=UNIT_NS) as writer:
        transcript = Transcript(writer, faults_only=faults_only)
        counted = _Session(control, path, transcript).run(length_ns, stop)
        counts = transcript.counts
        writer.provenance |= {
            "created": counts.created,
            "loaded": counts.loaded,
            "young": counts.young,
            "ager": control.hello().get("ager") if counted is not None else None,
        }
        if not writer.nr_references:
            raise RunError(
                f"{path}: no page came in meanwhile, nothing is written:"
                " a pod whose pages are all in the EPC has no faults"
            )
    return {
        "schema": "epcgroup/trace-recorded/1",
        "file": str(out),
        "group": path,
        "faults": counts.faults,
        "created": counts.created,
        "loaded": counts.loaded,
        "counted_by_the_pager": counted,
        "touches_seen": counts.young,
        "estimated": not faults_only,
    }


class _Session:
    """A recording from its start to its stop."""

    def __init__(self, control: "ControlClient", path: str, transcript: "Transcript") -> None:
        self._control = control
        self._path = path
        self._transcript = transcript

    def run(self, length_ns: int | None, stop: StopSignals) -> int | None:
        """Record until told to stop; return the faults the pager counted meanwhile, None if it cannot say."""
        first = self._control.record("start", self._path)
        begin = time.monotonic_ns()
        try:
            while not stop() and (length_ns is None or time.monotonic_ns() - begin < length_ns):
                reply = self._fetch("fetch")
                if reply["is_over"]:
                    raise RunError(
                        "events came faster than they could be fetched: the recording is not whole"
                    )
                if "created" not in reply:
                    break  # the group is gone
                time.sleep(_PAUSE)
        except PagerDiedError:
            return None  # what was fetched is whole up to then
        except BaseException:
            with suppress(EpcError):
                self._fetch("stop")
            raise
        last = self._fetch("stop")
        if "created" not in last:
            return None
        return sum(int(last[key]) - int(first[key]) for key in ("created", "loaded"))

    def _fetch(self, act: str) -> dict[str, Any]:
        """Write all that waits; return the first reply, which is of the moment it was asked for."""
        first = reply = self._control.record(act, self._path)
        self._write(reply)
        while reply["nr_waiting"]:
            reply = self._control.record(act, self._path)
            self._write(reply)
        return first

    def _write(self, reply: dict[str, Any]) -> None:
        from epcgroup.abi.recording import decode

        self._transcript.add(decode(reply["events"]), reply["enclaves"])


def _only_socket() -> Path:
    """Return the socket of the one pager of this user that runs here.

    Raises:
        UsageError: there is none, or there are several; the text names them.
    """
    given = os.environ.get("EPCG_SOCKET")
    if given:
        return Path(given)
    found = sorted(set(_sockets()))
    if not found:
        raise UsageError("no pager runs here: start one with epcg run, or say which with --socket")
    if len(found) > 1:
        raise UsageError(f"several pagers run here, choose one with --socket: {', '.join(map(str, found))}")
    return found[0]


def _sockets() -> Iterator[Path]:
    """Yield the sockets of the pagers whose command line may be read."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
            if "epcgroup.pager" in words:
                socket = Path(words[words.index("--socket") + 1])
                if socket.exists():
                    yield socket
