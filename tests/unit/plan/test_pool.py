"""Pools: every item once, order where it is promised, and an end that is no wait."""

import threading
from collections.abc import Iterator

import pytest

from epcgroup.errors import PlatformError, UsageError
from epcgroup.plan import pool


def never() -> bool:
    return False


@pytest.mark.parametrize("nr_threads", [1, 3])
def test_every_item_comes_once(nr_threads: int) -> None:
    with pool.threads(nr_threads) as where:
        done = {item: future.result() for item, future in pool.as_done(where, abs, range(-50, 0), never)}
        assert done == {item: -item for item in range(-50, 0)}
        assert list(pool.in_order(where, abs, range(-50, 0), never)) == list(range(50, 0, -1))


def test_answers_keep_their_order_although_the_first_is_the_last_to_finish() -> None:
    last_is_done = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            assert last_is_done.wait(60)
        elif item == 3:
            last_is_done.set()
        return item

    with pool.threads(2) as where:
        assert list(pool.in_order(where, call, range(4), never)) == [0, 1, 2, 3]


def test_items_are_taken_only_when_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    with pool.threads(1) as where:
        answers = pool.in_order(where, abs, items(), never)
        assert next(answers) == 0
        answers.close()  # type: ignore[attr-defined]
    assert len(taken) < 10


def test_a_wish_to_stop_ends_it() -> None:
    seen: list[int] = []
    with pool.threads(1) as where:
        for item, _ in pool.as_done(where, abs, range(1000), lambda: len(seen) >= 5):
            seen.append(item)
        assert 5 <= len(seen) < 20
        assert list(pool.in_order(where, abs, range(1000), lambda: True)) == []


def test_an_abandoned_call_ends_it_without_an_error() -> None:
    def call(item: int) -> int:
        if item == 2:
            raise pool.AbandonedError
        return item

    with pool.threads(1) as where:
        assert list(pool.in_order(where, call, range(9), never)) == [0, 1]


def test_errors_of_a_call_are_its_own() -> None:
    def call(item: int) -> float:
        return 1 / item

    with pool.threads(1) as where:
        ((_, future),) = pool.as_done(where, call, [0], never)
        with pytest.raises(ZeroDivisionError):
            pool.answer_of(future)
        with pytest.raises(ZeroDivisionError):
            list(pool.in_order(where, call, [1, 0], never))


def test_no_threads_is_no_pool() -> None:
    with pytest.raises(UsageError, match="at least 1"), pool.threads(0):
        pass


def test_nobody_at_the_address_of_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(pool, "_DASK_WAIT_S", 0.2)
    with pytest.raises(PlatformError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        pool._connect("tcp://127.0.0.1:1")
