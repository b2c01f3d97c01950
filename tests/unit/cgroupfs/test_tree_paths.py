"""Paths and names of groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epcgroup.cgroupfs.errnos import file_error, group_error
from epcgroup.cgroupfs.tree import NAME_MAX, check_name, if_there, split_path
from epcgroup.errors import EpcError, InvalidPathError, PlatformError, UsageError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\n"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(NAMES))
def test_a_path_is_its_names(names: list[str]) -> None:
    assert split_path("/" + "/".join(names)) == tuple(names)


@given(st.text())
def test_no_component_ever_leads_up(path: str) -> None:
    try:
        names = split_path(path)
    except InvalidPathError:
        return
    assert not {"", ".", ".."} & set(names)
    assert "/" + "/".join(names) == path


def test_a_name_is_measured_in_bytes() -> None:
    assert check_name("x" * NAME_MAX)
    assert check_name("é" * (NAME_MAX // 2))
    with pytest.raises(InvalidPathError, match="255 bytes"):
        check_name("é" * (NAME_MAX // 2 + 1))


def test_only_absence_is_data() -> None:
    def refuse() -> int:
        raise InvalidPathError("broken")

    with pytest.raises(InvalidPathError):
        if_there(refuse)


@given(st.integers(1, 133))
def test_every_errno_has_a_named_error(number: int) -> None:
    for name in (group_error, file_error):
        error = name(OSError(number, "said"), "/a/misc.max")
        assert isinstance(error, EpcError)
        assert isinstance(error, UsageError | PlatformError)
        assert "/a/misc.max" in str(error)
