"""A result as a Parquet file: one row for each sample and pod, so that other tools can read it.

Columns: ``time_ns``, ``pod``, those of ``Result.pods`` (``phase`` as text), those of ``Result.node`` with
``node_`` before them, ``reclaimed_by`` (name of a pod, or ``ksgxd`` → pages) and ``latency`` (bucket of
``abi/histogram.py`` → requests). Counters count from the start. The file's metadata say what was
simulated and who was killed.

pyarrow is an extra (``sim``) and is imported only when a table is written.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from epcgroup.errors import NotSupportedError
from epcgroup.sim.result import NODE_COLUMNS, PHASES, POD_COLUMNS, Result

if TYPE_CHECKING:
    import pyarrow

_PREFIX: Final = b"epcgroup."
#: What the machine's own reclaim is called.
_MACHINE: Final = "ksgxd"


def check_available() -> None:
    """Find out whether a table can be written at all, before there is something to lose.

    Raises:
        NotSupportedError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise NotSupportedError("Parquet needs pyarrow: pip install 'epcgroup[sim]'") from error


def write_parquet(result: Result, path: Path) -> None:
    """Write a result to a file, which appears whole or not at all.

    Raises:
        NotSupportedError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    table = to_table(result)
    from pyarrow import parquet

    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            parquet.write_table(table, file, compression="zstd")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def to_table(result: Result) -> "pyarrow.Table":
    """Return a result as a table of Arrow.

    Raises:
        NotSupportedError: pyarrow is not installed.
    """
    check_available()
    import pyarrow

    names = [pod.name for pod in result.scenario.pods]
    nr_samples, nr_pods, _ = result.pods.shape
    rows = result.pods.reshape(nr_samples * nr_pods, len(POD_COLUMNS))
    columns: dict[str, Any] = {
        "time_ns": np.repeat(result.times_ns, nr_pods),
        "pod": pyarrow.array(names * nr_samples).dictionary_encode(),
    }
    for index, name in enumerate(POD_COLUMNS):
        columns[name] = rows[:, index]
    columns["phase"] = pyarrow.array([PHASES[phase] for phase in columns["phase"]]).dictionary_encode()
    for index, name in enumerate(NODE_COLUMNS):
        columns[f"node_{name}"] = np.repeat(result.node[:, index], nr_pods)
    columns["reclaimed_by"] = _sparse(result.reclaimed_by, pyarrow.string(), [*names, _MACHINE])
    columns["latency"] = _sparse(result.latency, pyarrow.int32(), list(range(result.latency.shape[2])))
    return pyarrow.table(columns, metadata=_metadata(result))


def _sparse(counts: "np.ndarray[Any, Any]", key: "pyarrow.DataType", keys: list[Any]) -> "pyarrow.Array":
    """A map for each row, of what is not zero."""
    import pyarrow

    rows = counts.reshape(-1, counts.shape[2])
    maps = [[(keys[i], int(row[i])) for i in row.nonzero()[0]] for row in rows]
    return pyarrow.array(maps, pyarrow.map_(key, pyarrow.int64()))


def _metadata(result: Result) -> dict[bytes, bytes]:
    scenario = asdict(result.scenario)
    return {
        _PREFIX + b"scenario": json.dumps(scenario, sort_keys=True).encode(),
        _PREFIX + b"digest": result.digest.encode(),
        _PREFIX + b"messages": json.dumps(result.messages).encode(),
        _PREFIX + b"kills": json.dumps([asdict(kill) for kill in result.kills]).encode(),
        _PREFIX + b"accesses": str(result.nr_accesses).encode(),
    }
