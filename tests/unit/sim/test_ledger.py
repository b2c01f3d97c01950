"""The one rule of what fits a node, for one claim and for arrays of them."""

import numpy as np

from epcgroup.sim.ledger import Ledger, fits


def test_pods_bind_in_order_while_they_fit() -> None:
    ledger = Ledger(100)
    claims = {"a": 60, "b": 41, "c": 40, "d": 0, "e": 1}
    assert [ledger.bind(name, claim) for name, claim in claims.items()] == [True, False, True, True, False]
    ledger.release("a")
    ledger.release("b")  # it has none
    assert ledger.free_bytes == 60
    assert ledger.bind("b", 41)
    assert ledger.claimed == {"c": 40, "d": 0, "b": 41}


def test_arrays_and_numbers_follow_the_same_rule() -> None:
    free = np.array([0, 9, 10, 11], np.int64)
    assert fits(10, free).tolist() == [fits(10, int(one)) for one in free] == [False, False, True, True]
    assert fits(free, 10).tolist() == [True, True, True, False]
