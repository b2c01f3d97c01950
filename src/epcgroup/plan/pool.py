"""Where many simulations run: threads of this process (compiled code holds no lock), or a Dask cluster.

Both are executors of ``concurrent.futures``. At most a few calls a slot wait at any time, so that a plan of a
million simulations takes no more memory than one of ten.

What must not live here: what is simulated, what becomes of the results.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from epcgroup import __version__
from epcgroup.errors import NotSupportedError, PlatformError, UsageError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Calls under way or waiting, for each slot: enough that none stands idle, few enough to be forgotten.
_AHEAD: Final = 3
#: Between two looks at whether to stop.
_LOOK_S: Final = 0.25
#: How long a Dask scheduler and its first worker may take to answer.
_DASK_WAIT_S: Final = 30


class AbandonedError(Exception):
    """A simulation was given up because its plan was stopped: not an error of anybody."""


@dataclass(frozen=True, slots=True)
class Pool:
    """An executor and how many calls it runs at once.

    Attributes:
        executor: of ``concurrent.futures``.
        nr_slots: calls it runs at the same time.
        here: whether it runs them in this process, where a call can be told to stop.
        name: for people.
    """

    executor: Executor
    nr_slots: int
    here: bool
    name: str


def nr_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(nr_threads: int) -> Iterator[Pool]:
    """Give a pool of threads of this process; leaving waits for the calls under way.

    Raises:
        UsageError: fewer than one.
    """
    if nr_threads < 1:
        raise UsageError(f"{nr_threads} threads cannot simulate: at least 1 is needed")
    word = "thread" if nr_threads == 1 else "threads"
    with ThreadPoolExecutor(nr_threads, thread_name_prefix="epcg") as executor:
        yield Pool(executor, nr_threads, here=True, name=f"{nr_threads} {word}")


@contextmanager
def dask(address: str) -> Iterator[Pool]:
    """Give a pool of the workers of a Dask cluster.

    Args:
        address: of the scheduler, ``tcp://HOST:8786``.

    Raises:
        NotSupportedError: Dask is not installed.
        PlatformError: nobody answers there, or its workers have another version of this package.
    """
    client = _connect(address)
    try:
        nr_slots = _checked_slots(client, address)
        yield Pool(client.get_executor(pure=False), nr_slots, here=False, name=f"Dask at {address}")
    finally:
        client.close()


def _connect(address: str) -> Any:  # noqa: ANN401 - Dask is untyped
    try:
        import distributed
    except ImportError as error:
        raise NotSupportedError("--dask needs Dask: pip install 'epcgroup[dask]'") from error
    # What goes wrong reaches the caller as an error; Dask's own log would say it again, with its stacks.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        connect: Any = distributed.Client
        return connect(address, timeout=_DASK_WAIT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"no Dask scheduler answers at {address} ({error}): start one with `dask scheduler`, and workers"
            f" with `dask worker {address}`"
        ) from error


def version() -> str:
    """Return the version of this package, asked of a worker."""
    return __version__


def _checked_slots(client: Any, address: str) -> int:  # noqa: ANN401 - Dask is untyped
    try:
        client.wait_for_workers(1, timeout=_DASK_WAIT_S)
    except TimeoutError as error:
        raise PlatformError(
            f"the Dask scheduler at {address} has no worker: start one with `dask worker {address}`"
        ) from error
    try:
        versions = client.run(version)
    except ImportError as error:
        raise PlatformError(
            f"the Dask workers at {address} lack epcgroup ({error}): install it there too"
        ) from error
    other = {worker: text for worker, text in versions.items() if text != __version__}
    if other:
        worker, text = sorted(other.items())[0]
        raise PlatformError(
            f"Dask worker {worker} has epcgroup {text}, this is {__version__}: install the same on both"
        )
    return sum(int(nr) for nr in client.nthreads().values())


def as_done(
    pool: Pool, call: Callable[[Item], Answer], items: Iterable[Item], stop: Callable[[], bool]
) -> Iterator[tuple[Item, Future[Answer]]]:
    """Call for every item; give each with its finished future, as they come.

    Ends early, with nothing under way but what cannot be cancelled, when ``stop`` says so.
    """
    source = iter(items)
    waiting: dict[Future[Answer], Item] = {}
    try:
        while not stop():
            for item in islice(source, pool.nr_slots * _AHEAD - len(waiting)):
                waiting[pool.executor.submit(call, item)] = item
            if not waiting:
                return
            for future in wait(waiting, _LOOK_S, FIRST_COMPLETED).done:
                yield waiting.pop(future), future
    finally:
        _cancel(waiting)


def in_order(
    pool: Pool, call: Callable[[Item], Answer], items: Iterable[Item], stop: Callable[[], bool]
) -> Iterator[Answer]:
    """Call for every item; give the answers in the order of the items, so that sums come out the same.

    Ends early when ``stop`` says so, or a call was abandoned.
    """
    source = iter(items)
    waiting: deque[Future[Answer]] = deque()
    try:
        while not stop():
            for item in islice(source, pool.nr_slots * _AHEAD - len(waiting)):
                waiting.append(pool.executor.submit(call, item))
            if not waiting:
                return
            if wait(list(islice(waiting, 1)), _LOOK_S).done:
                yield answer_of(waiting.popleft())
    except AbandonedError:
        return
    finally:
        _cancel(waiting)


def answer_of(future: Future[Answer]) -> Answer:
    """Return what a finished call gave.

    Raises:
        PlatformError: its worker was lost.
        Exception: what the call raised.
    """
    try:
        return future.result()
    except Exception as error:
        # An error of Dask itself is not one of the call; its classes share no base but their package.
        if isinstance(error, CancelledError) or type(error).__module__.startswith("distributed"):
            what = str(error) or type(error).__name__
            raise PlatformError(f"a worker was lost ({what}): run the same again") from error
        raise


def _cancel(waiting: Iterable[Future[Any]]) -> None:
    for future in waiting:
        future.cancel()
