"""A sweep: simulate every point of a space, note each in the journal, make one table of all.

What must not live here: texts of a SPEC (``node/sweepfile.py``), what people see (``cli/sweep.py``).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from epcgroup.errors import EpcError, PlatformError
from epcgroup.plan import tables
from epcgroup.plan.journal import Journal
from epcgroup.plan.measure import FIGURES, Row, Task, measure
from epcgroup.plan.points import FACTOR, NUMBER, SIZE, WORD, Point, column, key_of
from epcgroup.plan.pool import AbandonedError, Pool, answer_of, as_done
from epcgroup.plan.space import Space
from epcgroup.sim.scenario import Scenario

TABLE: Final = "sweep.parquet"


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is swept over what.

    Attributes:
        base: the scenario that the points change.
        space: the points.
        warm_up: part of each run, 0 to below 1, that is not counted.
        identity: what makes two sweeps the same, as JSON; kept with the results.
    """

    base: Scenario
    space: Space
    warm_up: float
    identity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What a sweep found.

    Attributes:
        rows: a row a point and pod, points by id, pods in the order of the manifest.
        failed: (point, why) of the points that cannot be simulated.
        digest: SHA-256 over the rows: the same on any number of threads, in any order.
    """

    rows: tuple[Row, ...]
    failed: tuple[tuple[str, str], ...]
    digest: str


def run(
    sweep: Sweep, pool: Pool, journal: Journal, stop: Callable[[], bool], done: Callable[[int], None]
) -> bool:
    """Simulate the points that the journal lacks and note each; False if somebody stopped it.

    Args:
        sweep: what to do.
        pool: where.
        journal: what is done already.
        stop: asked whether to stop.
        done: told how many points are done, at first and after each.

    Raises:
        UsageError: a point does not go with the scenario.
        PlatformError: the pool broke.
    """
    points = {point.id: point for point in sweep.space.points()}
    left = [point for point in points.values() if point.id not in journal.entries]
    tasks = (Task(point.id, point.of(sweep.base), sweep.warm_up) for point in left)
    nr_done = len(points) - len(left)
    done(nr_done)
    call = partial(measure, stop=stop) if pool.here else measure
    for task, future in as_done(pool, call, tasks, stop):
        entry = _entry(future)
        if entry is None:
            return False
        journal.note(task.id, {"point": dict(points[task.id].values), **entry})
        nr_done += 1
        done(nr_done)
    return nr_done == len(points)


def _entry(future: Future[list[Row]]) -> dict[str, Any] | None:
    """Return what the journal keeps of a simulation; None if it was abandoned."""
    try:
        return {"rows": answer_of(future)}
    except AbandonedError:
        return None
    except PlatformError:
        # Of this machine or its cluster, not of the point: it may go well next time.
        raise
    except EpcError as error:
        return {"error": str(error)}


def found(sweep: Sweep, journal: Journal) -> Found:
    """Return what the journal of a finished sweep says."""
    rows: list[Row] = []
    failed: list[tuple[str, str]] = []
    for point in sorted(sweep.space.points(), key=lambda point: point.id):
        entry = journal.entries[point.id]
        if "error" in entry:
            failed.append((str(point), entry["error"]))
        rows.extend(_whole_rows(point, entry.get("rows", ())))
    return Found(tuple(rows), tuple(failed), digest_of(rows))


def _whole_rows(point: Point, rows: Sequence[Row]) -> Iterator[Row]:
    keys = {column(name): value for name, value in point.values}
    for row in rows:
        yield {"point": point.id, **keys, **{name: row[name] for name in FIGURES}}


def digest_of(rows: Sequence[Row]) -> str:
    """Return the SHA-256 of rows in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()


def columns(space: Space) -> dict[str, str]:
    """Return the columns of the table: the point, what was swept, what was found."""
    types = {SIZE: "int", WORD: "text", FACTOR: "float", NUMBER: "float"}
    swept = {column(name): types.get(key_of(name)[0].kind, "int") for name, _ in space.axes}
    return {"point": "text", **swept, "seed": "int", **FIGURES}


def write_table(sweep: Sweep, result: Found, folder: Path) -> Path:
    """Write what was found as a Parquet file and return its path.

    Raises:
        NotSupportedError: pyarrow is not installed.
    """
    about = {"epcgroup.sweep": json.dumps(sweep.identity), "epcgroup.digest": result.digest}
    path = folder / TABLE
    with tables.writing(path, columns(sweep.space), about) as table:
        table.add(result.rows)
    return path
