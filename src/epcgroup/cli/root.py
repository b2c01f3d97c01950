"""``epcg``: the root of the command, and the one place where errors become a line and an exit code.

Sub-commands are imported only when they are called, so that ``epcg --help`` is instant.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, cast

import click

from epcgroup import __version__
from epcgroup.cli.exits import Exit
from epcgroup.errors import (
    EpcError,
    InvariantError,
    ManifestError,
    NotSupportedError,
    PeerRefusedError,
    TraceFormatError,
    UsageError,
)

#: Sub-command → module; each module has a command of the same name.
_COMMANDS: Final = {
    "run": "epcgroup.cli.run",
    "compare": "epcgroup.cli.compare",
    "doctor": "epcgroup.cli.doctor",
    "sim": "epcgroup.cli.sim",
    "sweep": "epcgroup.cli.sweep",
    "fleet": "epcgroup.cli.fleet",
    "trace": "epcgroup.cli.trace",
    "costs": "epcgroup.cli.costs",
    "conformance": "epcgroup.cli.conformance",
}
_NEXT: Final = "see: epcg --help"


class _Lazy(click.Group):
    """A group whose commands are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        return None if module is None else cast("click.Command", getattr(import_module(module), cmd_name))


_HELP: Final = """Hold pods to their SGX EPC claims, on a software EPC.

\b
epcg doctor                                 what this machine can do
epcg compare examples/noisy-neighbour.yaml  the same pods with and without limits
epcg run pods.yaml --duration 30s           run pods, watch them live
epcg sim pods.yaml --duration 1h            the same pods in virtual time
"""
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(cls=_Lazy, help=_HELP, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="epcg", message="%(prog)s %(version)s")
def epcg() -> None:
    """Hold pods to their SGX EPC claims, on a software EPC."""


def _code_of(error: EpcError) -> Exit:
    if isinstance(error, ManifestError | TraceFormatError):
        return Exit.DATA
    if isinstance(error, UsageError):
        return Exit.USAGE
    if isinstance(error, NotSupportedError):
        return Exit.UNAVAILABLE
    if isinstance(error, PeerRefusedError):
        return Exit.NO_PERMISSION
    return Exit.BUG if isinstance(error, InvariantError) else Exit.OS_ERROR


def _os_code(error: OSError) -> Exit:
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return Exit.NO_INPUT
    return Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.IO_ERROR


def _hint(code: Exit, error: EpcError | None = None) -> str:
    if isinstance(error, TraceFormatError):
        return "what a trace is: docs/traces.md"
    return {
        Exit.DATA: "an example that runs: examples/noisy-neighbour.yaml",
        Exit.USAGE: _NEXT,
        Exit.UNAVAILABLE: "what this machine has: epcg doctor",
        Exit.OS_ERROR: "what this machine has: epcg doctor",
    }.get(code, "")


def _say(message: str, code: Exit, error: EpcError | None = None) -> int:
    hint = _hint(code, error)
    print(f"epcg: {message}" + (f"  ({hint})" if hint else ""), file=sys.stderr)
    return int(code)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run ``epcg`` with arguments (default: the process's own) and return the exit code."""
    try:
        result = epcg.main(args=arguments, prog_name="epcg", standalone_mode=False)
        return int(result or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return int(Exit.USAGE)
    except click.UsageError as error:
        return _say(error.format_message(), Exit.USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), Exit.NO_INPUT)
    except (click.Abort, KeyboardInterrupt):
        print("epcg: interrupted", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except EpcError as error:
        return _say(str(error), _code_of(error), error)
    except MemoryError as error:
        return _say(f"this machine has not enough memory for that: {error}", Exit.OS_ERROR)
    except BrokenPipeError:
        # The reader of our output has gone (``epcg ... | head``): not worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except OSError as error:
        name = f"{error.filename}: " if error.filename is not None else ""
        return _say(f"{name}{error.strerror or error}", _os_code(error))
