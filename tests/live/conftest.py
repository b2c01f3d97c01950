"""Fixtures of the live tests: a real pager in a temporary folder, always ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from live_pager import LivePager

from epcgroup.abi import userfaultfd
from epcgroup.errors import NotSupportedError

StartPager = Callable[..., LivePager]


@pytest.fixture(scope="session")
def userfaultfd_here() -> None:
    """Skip where the kernel has no userfaultfd."""
    try:
        userfaultfd.offered_features()
    except NotSupportedError as error:
        pytest.skip(str(error))


@pytest.fixture
def start_pager(userfaultfd_here: None) -> Iterator[StartPager]:
    """A function that starts a pager: ``start_pager("--ager", "fifo", epc="4Mi")``; several are possible.

    Each is in a folder that every user may enter, unlike those of ``tmp_path``.
    """
    with ExitStack() as stack:

        def start(*options: str, **more: Any) -> LivePager:  # noqa: ANN401
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="epcgroup-test-")))
            folder.chmod(0o777)
            return stack.enter_context(LivePager(folder, *options, **more))

        yield start


@pytest.fixture
def live_pager(start_pager: StartPager) -> LivePager:
    """A pager with an EPC of 4 MiB (1024 pages), series ``fair``."""
    return start_pager()
