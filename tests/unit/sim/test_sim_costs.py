"""Cost models: every figure is there with unit, source and certainty; wrong ones are refused."""

import pytest

from epcgroup.errors import UsageError
from epcgroup.sim import costs

_GOOD = 'title = "t"\nghz = 2.0\nserial = false\non_demand = true\n' + "".join(
    f'[costs.{key}]\nvalue = 100\nunit = "cycles"\nsource = "s"\ncertainty = "assumed"\n'
    for key in costs.KEYS
)


@pytest.mark.parametrize("name", costs.names())
def test_every_model_is_complete(name: str) -> None:
    model = costs.find(name)
    spread = [f"spread{overcommit}" for overcommit, _ in model.spread]
    assert [figure.key for figure in model.figures] == [*costs.KEYS, *spread]
    assert all(len(figure.source) > 10 for figure in model.figures)
    assert model.ps("fault") > model.ps("hit") >= 0


def test_the_three_models_are_there() -> None:
    assert set(costs.names()) == {"sgx1", "sgx2", "softepc"}


@pytest.mark.parametrize(("name", "cycles"), [("sgx1", 40_000), ("sgx2", 45_000)])
def test_a_swap_costs_what_was_published(name: str, cycles: int) -> None:
    model = costs.find(name)
    swap = sum(figure.value for figure in model.figures if figure.key in ("fault", "load", "evict"))
    assert swap == cycles


def test_cycles_become_picoseconds() -> None:
    assert costs.parse("x", _GOOD).ps("hit") == 50_000


def test_an_override_has_the_unit_of_the_model() -> None:
    model = costs.find("sgx2").overridden({"load": 7000})
    assert model.ps("load") == 2_000_000
    assert costs.find("sgx2").ps("load") != 2_000_000
    assert next(figure for figure in model.figures if figure.key == "load").certainty == "assumed"


@pytest.mark.parametrize("overrides", [{"loading": 1.0}, {"load": -1.0}, {"load": float("nan")}])
def test_a_wrong_override_is_refused(overrides: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="load"):
        costs.find("sgx2").overridden(overrides)


def test_an_unknown_model_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(UsageError, match="'sgx9': one of sgx1, sgx2, softepc"):
        costs.find("sgx9")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[costs.load]", "[costs.lead]", "lead, load missing or unknown"),
        ('unit = "cycles"', 'unit = "us"', "needs a unit"),
        ('certainty = "assumed"', 'certainty = "guessed"', "needs a unit"),
        ('source = "s"', 'source = " "', "needs a unit"),
        ("value = 100", "value = -1", "expected a number"),
        ("title = ", "title ", "x: "),
        ('title = "t"\n', "", "title"),
        ("ghz = 2.0", "ghz = 0", "ghz"),
    ],
)
def test_a_broken_model_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        costs.parse("x", _GOOD.replace(old, new))


def _spread(text: str) -> str:
    return f'{_GOOD}[spread.{text}]\nvalue = 0.5\nunit = "ln"\nsource = "s"\ncertainty = "assumed"\n'


def test_spreads_are_sorted_by_overcommit() -> None:
    model = costs.parse("x", _spread("16") + _spread("2").removeprefix(_GOOD))
    assert model.spread == ((2, 0.5), (16, 0.5))
    assert model.figures[-1].meaning == "spread of fault + load at overcommit 1:16"


def test_a_spread_is_replaced_or_added_by_the_user() -> None:
    assert costs.find("sgx2").overridden({"spread16": 1}).spread[-1] == (16, 1)
    assert costs.find("sgx1").overridden({"spread4": 0.25, "spread1": 0}).spread == ((1, 0), (4, 0.25))
    assert not any(deviation for _, deviation in costs.find("sgx2").overridden(costs.steady("sgx2")).spread)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"spread2": 3.5}, "from 0 to 3"),
        ({"spread0": 0.1}, "no cost 'spread0'"),
        ({"spread": 0.1}, "no cost"),
    ],
)
def test_a_wrong_spread_is_refused(overrides: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        costs.find("sgx2").overridden(overrides)


@pytest.mark.parametrize(
    ("text", "message"), [(_spread("x"), "'spreadx'"), (_spread("2").replace('"ln"', '"ns"'), "a unit .ln.")]
)
def test_a_broken_spread_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        costs.parse("x", text)
