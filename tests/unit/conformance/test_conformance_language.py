"""The trace language: parsing, lists, refusals, and what an operation answers."""

import pytest

from epcgroup.conformance.names import OPERATIONS
from epcgroup.conformance.player import LivelockError, Player
from epcgroup.conformance.replay import replay, trace
from epcgroup.conformance.script import escape, format_pages, parse, parse_pages
from epcgroup.conformance.world import Backing, Mapping, Process
from epcgroup.errors import UsageError
from epcgroup.face.epc import Epc


def _results(script: str, series: str = "v17") -> list[str]:
    """The result lines of a script."""
    return [line[2:] for line in replay(script, series).split("\n") if line.startswith("= ")]


def test_lines_comments_and_blanks() -> None:
    operations = list(parse("# comment\n\n  boot 96\t sgx2=0 \nstate\n"))
    assert [op.name for op in operations] == ["boot", "state"]
    assert operations[0].words == ("96", "sgx2=0")
    assert operations[0].text == "boot 96\t sgx2=0 "


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (r'write / f "a\n\t\r\\\x41"', "a\n\t\r\\A"),
        ('write / f ""', ""),
        ('write / f "say "hi""', 'say "hi"'),
        ("write / f none", ""),
        (r'write / f "\q"', r"\q"),
    ],
)
def test_quoted_text(text: str, quoted: str) -> None:
    assert next(parse(text)).quoted == quoted


def test_page_lists() -> None:
    assert list(parse_pages("0-3,7,7,9-12,2")) == [0, 1, 2, 3, 7, 7, 9, 10, 11, 12, 2]
    assert format_pages([0, 1, 2, 7, 9, 10, 3]) == "0-2,7,9-10,3"
    assert format_pages([]) == "-"
    assert list(parse_pages(format_pages(range(5)))) == [0, 1, 2, 3, 4]
    assert escape("a 1\nb 2\n") == r"a 1\nb 2\n"


def test_refusals_of_the_interpreter() -> None:
    script = "\n".join(
        [
            "state",
            "boot 96",
            "boot 96",
            "frobnicate",
            "mkdir",
            "mkdir a",
            "mkdir /x/y",
            "rmdir /x",
            "proc p /x",
            "proc p /",
            "proc p /",
            "enclave E q",
            "enclave E p 64",
            "enclave E p 64",
            "touch F 0",
            "touch E 0 q",
            "poison E 0",
            "vfault V 0",
            "close E",
            "close E",
            "add E 1",
        ]
    )
    assert _results(script) == [
        "err=notbooted",
        "ret=0",
        "err=badop",
        "err=badop",
        "err=args",
        "err=path",
        "err=nocg",
        "err=nocg",
        "err=nocg",
        "ret=0",
        "err=exists",
        "err=noproc",
        "ret=0",
        "err=exists",
        "err=noencl",
        "err=noproc",
        "err=notresident",
        "err=novepc",
        "ret=0",
        "err=nofd",
        "err=nofd",
    ]


def test_state_follows_except_after_looking() -> None:
    lines = replay("boot 96\ncat / misc.capacity\nhw\nstate\n", "v17").split("\n")
    assert lines[:4] == [
        "#1 boot 96",
        "= ret=0",
        "S free=96 ksgxd=sleep work=- warn=0",
        "C / cur=0 max=- peak=0 events=- local=- next=/ lru=-",
    ]
    assert lines[4:6] == ["#2 cat / misc.capacity", r'= ret=15 data="sgx_epc 393216\n"']
    assert lines[6] == "#3 hw"
    assert lines[-2:] == ["END ok", ""]


def test_access_runs_what_is_queued() -> None:
    script = "boot 300\nmkdir /a\nmax /a 30\nproc p /a\nenclave E p 64\nadd E 28\ninit E\naccess E 28-40\n"
    assert _results(script)[-1] == "hit=0 load=13 retries=1"


def test_a_write_that_never_returns_is_noticed() -> None:
    script = "boot 96\nmkdir /a\nproc p /a\nvepc V p 20\nvfault V 0-19\nmax /a 5\nstate\n"
    lines = replay(script, "v2").split("\n")
    assert lines[-3:] == ["= livelock", "END livelock", ""]


def test_series_fair_serves_what_v17_never_does() -> None:
    script = (
        "boot 1000\nmkdir /p\nmkdir /p/b\nmkdir /p/c\nproc b /p/b\nproc c /p/c\n"
        "enclave B b 64\nenclave C c 64\n"
        "add C 38\ninit C\nadd B 58\nmax /p 100\naccess C 40\n"
    )
    assert "stop=busy@40" in _results(script, "v17")[-1]
    assert _results(script, "fair")[-1] == "hit=0 load=1 retries=0"


def test_every_operation_of_the_language_exists() -> None:
    words = (
        "ksgxd work signal node failback poison hw state mkdir rmdir write max cat files cap charge uncharge"
        " total proc move exit enclave add init touch fault access age map unmap give close modp trim tcs"
        " accept remove"
        " vepc vfault vclose"
    )
    assert set(OPERATIONS) == set(words.split())


def test_unknown_series() -> None:
    with pytest.raises(UsageError):
        replay("boot 96\n", "v1")


def test_backing_store_counts_pages() -> None:
    backing = Backing([0])
    assert backing.get(0)
    backing.write(0)
    assert backing.get(31)
    backing.write(31)
    assert backing.nr_pages == 3  # two contents, one PCMD page
    backing.punch(0)
    assert backing.nr_pages == 2
    backing.punch(31)
    assert backing.nr_pages == 0
    backing.failures[0] = 1
    assert not backing.get(5)
    assert backing.get(5)


def test_ages_are_asked_in_the_order_of_first_mapping() -> None:
    player = Player(Epc.create(96, series="v17", nr_groups=4, nr_enclaves=4, nr_enclave_pages=256))
    first, second = player.add_process("p", 1), player.add_process("q", 1)
    number = player.epc.enclave_create(1, 16)[1]
    encl = player.add_enclave("E", number, 16, first)
    player.map(encl, second)
    player.unmap(encl, first)
    player.map(encl, first)
    assert [mapping.process for mapping in encl.mappings] == [first, second]
    assert not Mapping(Process("r", 9, 1), bytearray(4)).is_young(0)


def test_trace_shows_the_player_after_each_operation() -> None:
    seen: list[int] = []
    list(trace("boot 96\nmkdir /a\nhw\nstate\n", "v17", lambda player: seen.append(player.epc.nr_free)))
    assert seen == [96, 96, 96]


def test_livelock_is_an_error_with_an_errno() -> None:
    assert LivelockError("x").errno > 0
