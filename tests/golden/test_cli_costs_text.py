"""What people see of ``epcg costs``, word for word; of ``softepc`` only the form, since it is measured anew.

``python -m tests.golden.test_cli_costs_text`` writes the file anew.
"""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from epcgroup.cli.root import run_command
from epcgroup.sim.costs import find, names

GOLDEN = Path(__file__).with_name("cli-costs.txt")
COMMANDS = ("costs --help", "costs sgx1", "costs sgx2", "costs sgx2 --json", "costs sgx9")


def _output(command: str) -> str:
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = run_command(command.split())
    return f"{output.getvalue()}{errors.getvalue()}[{code}]\n"


def transcript() -> str:
    """Return what the commands say, one after the other."""
    return "\n".join(f"$ epcg {command}\n{_output(command)}" for command in COMMANDS)


def test_words() -> None:
    assert transcript() == GOLDEN.read_text()


def test_lines_fit_a_terminal_of_100_columns() -> None:
    lines = _output("costs").splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split(":")[0] for line in lines if line and line[0] not in " ["] == list(names())


def test_json_has_every_figure_of_every_model() -> None:
    text, _, _ = _output("costs --json").rpartition("[")
    models = json.loads(text)["models"]
    assert [model["name"] for model in models] == list(names())
    for model in models:
        figures = find(model["name"]).figures
        assert [figure["name"] for figure in model["costs"]] == [figure.key for figure in figures]
        assert all(figure["source"] and figure["certainty"] and figure["unit"] for figure in model["costs"])
    assert "measured_on" in models[-1]


if __name__ == "__main__":
    GOLDEN.write_text(transcript())
