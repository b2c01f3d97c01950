"""The owner's index of groups: it finds what a look at all siblings finds, and looks at each only once."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import EpcError
from epcgroup.face.epc import Epc
from epcgroup.state import tree
from epcgroup.state.layout import Names

PATHS = ["/a", "/b", "/a/b", "/a/a", "/b//a", "/a/b/", "//a", "/", "", "a", "/c/d"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["mkdir", "rmdir"]), st.sampled_from(PATHS), st.sampled_from([0, 0, 0, 1]))
    )
)
def test_it_finds_what_there_is(steps: list[tuple[str, str, int]]) -> None:
    first = Epc.create(64, nr_groups=5, nr_enclaves=1, nr_enclave_pages=8)
    owners = (first, Epc(first.state, first.names, "fair"))
    for act, path, owner in steps:
        with suppress(EpcError):
            getattr(owners[owner], act)(path)
        for epc in owners:
            found = [epc._index.find(each) for each in PATHS]
            assert found == [tree.find(epc.state, epc.names, each) for each in PATHS]


def test_making_groups_looks_at_no_sibling_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    epc = Epc.create(64, nr_groups=300, nr_enclaves=1, nr_enclave_pages=8)
    seen: list[int] = []
    name_of = tree.name_of

    def counted(names: Names, group: int) -> str:
        seen.append(group)
        return name_of(names, group)

    monkeypatch.setattr(tree, "name_of", counted)
    for number in range(200):
        epc.mkdir(f"/{number}")
        epc.write(f"/{number}", "misc.max", "sgx_epc 4096")
    for number in range(200):
        epc.rmdir(f"/{number}")
    assert len(seen) <= 200
    assert epc.paths() == ["/"]
