"""What every refused command line has in common."""

from collections.abc import Sequence

import pytest

from epcgroup.cli.exits import Exit
from epcgroup.cli.root import run_command


def assert_refused(
    words: Sequence[str], code: Exit, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check that a command ends with an exit code and one line that holds a message."""
    assert run_command(words) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("epcg: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
