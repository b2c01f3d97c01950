"""Pods over time: Alibaba's columns, our table, and a manifest that the node accepts."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epcgroup.errors import TraceFormatError, UsageError
from epcgroup.node.manifest import load_manifest
from epcgroup.sim.trace import pods as podlists
from epcgroup.sim.trace.pods import OpenbForm, PodRecord, read_openb, read_pods, write_pods

LIST = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
pod-b,6000,12288,1,460,,LS,Running,427,12902,430
pod-a,12000,16384,1,1000,"V100M16|V100M32",BE,Running,27,5037,27
pod-c,11908,47104,1,1000,,BE,Pending,1001,1403,
pod-d,1000,0,1,320,,Burstable,Failed,5000,5000,5000
"""
SECOND = 10**9
MIB = 1 << 20


def read(folder: Path, text: str, form: OpenbForm = OpenbForm()) -> podlists.PodList:  # noqa: B008 - frozen
    (folder / "list.csv").write_text(text)
    return read_openb(folder / "list.csv", form)


def test_a_list(tmp_path: Path) -> None:
    found = read(tmp_path, LIST)
    assert found.pods == (
        PodRecord("pod-a", 0, 5010 * SECOND, 64 * MIB),
        PodRecord("pod-b", 400 * SECOND, 12472 * SECOND, 48 * MIB),
        PodRecord("pod-d", 4973 * SECOND, 1, 4096),  # nothing is less than a nanosecond and a page
    )
    assert found.nr_never_ran == 1


def test_faster_larger_and_only_some(tmp_path: Path) -> None:
    found = read(tmp_path, LIST, OpenbForm(epc_per_memory=1 / 128, speed=1000, qos=("LS",)))
    assert found.pods == (PodRecord("pod-b", 0, 12472 * SECOND // 1000, 96 * MIB),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("creation_time", "created", "line 1: no column creation_time in ['name'"),
        ("27,5037,27", "27,5037,5038", "line 3: deleted 1 s before it was scheduled"),
        ("27,5037,27", "27,-1,27", "line 3: deletion_time is '-1': a whole number from 0 to 8589934592"),
        ("27,5037,27", "x,5037,27", "line 3: creation_time is 'x'"),
        ("27,5037,27", f"{2**60},5037,27", "line 3: creation_time is '1152921504606846976'"),
        ("pod-a", "Pod_A", "line 3: the name 'Pod_A': at most 63 lower-case letters"),
        ("pod-a", "pod-b", "two pods are called pod-b"),
        ('"V100M16|V100M32"', '"V100', "unexpected end of data"),
    ],
)
def test_lines_that_are_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TraceFormatError) as caught:
        read(tmp_path, LIST.replace(old, new, 1))
    assert message in str(caught.value)


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(LIST.replace("pod-a", "pod-\xff").encode("latin-1"))
    with pytest.raises(TraceFormatError, match="line 3: not UTF-8 text"):
        read_openb(tmp_path / "list.csv", OpenbForm())


def test_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="no pod of the list ran"):
        read(tmp_path, LIST.splitlines()[0] + "\n")
    with pytest.raises(TraceFormatError, match="no column name, memory_mib"):
        read(tmp_path, "")
    with pytest.raises(TraceFormatError, match=r"no pod of the list ran \(qos \('Guaranteed',\)\)"):
        read(tmp_path, LIST, OpenbForm(qos=("Guaranteed",)))


@pytest.mark.parametrize(
    "form", [OpenbForm(0), OpenbForm(2), OpenbForm(speed=0), OpenbForm(speed=float("nan"))]
)
def test_forms_that_cannot_be(tmp_path: Path, form: OpenbForm) -> None:
    with pytest.raises(UsageError, match="both above 0, the first at most 1"):
        read(tmp_path, LIST, form)


def test_a_list_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlists, "MAX_PODS", 2)
    with pytest.raises(TraceFormatError, match="more than 2 pods"):
        read(tmp_path, LIST)


def test_a_manifest_that_runs(tmp_path: Path) -> None:
    pods = read(tmp_path, LIST, OpenbForm(speed=7)).pods
    write_pods(tmp_path / "m.yaml", pods)
    manifest = load_manifest(tmp_path / "m.yaml")
    assert manifest.node.capacity_bytes == 128 * MIB
    for pod, record in zip(manifest.pods, pods, strict=True):
        assert (pod.name, pod.start_ns) == (record.name, record.arrival_ns)
        assert pod.end_ns == record.arrival_ns + record.lifetime_ns
        assert pod.containers[0].claim_bytes == record.epc_bytes
    write_pods(tmp_path / "m.yaml", pods, capacity_bytes=1 << 30)
    assert load_manifest(tmp_path / "m.yaml").node.capacity_bytes == 1 << 30
    with pytest.raises(UsageError, match="a pod claims 64Mi, the node has 32Mi"):
        write_pods(tmp_path / "m.yaml", pods, capacity_bytes=32 << 20)
    with pytest.raises(UsageError, match=r"ends in \.yaml, \.yml, \.csv"):
        write_pods(tmp_path / "m.txt", pods)


records = st.lists(
    st.builds(
        lambda name, arrival, life, size: PodRecord(name, arrival, life, size * 4096),
        st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True),
        st.integers(0, 2**62),
        st.integers(0, 2**62),
        st.integers(1, 2**40),
    ),
    min_size=1,
    unique_by=lambda pod: pod.name,
)


@settings(max_examples=60, deadline=None)
@given(records)
def test_the_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, pods: list[PodRecord]
) -> None:
    path = tmp_path_factory.getbasetemp() / "pods.csv"
    write_pods(path, pods)
    assert read_pods(path) == tuple(sorted(pods, key=lambda pod: (pod.arrival_ns, pod.name)))


def test_the_table_of_a_real_list_is_read(tmp_path: Path) -> None:
    """Alibaba's times reach 12,902,960 s: more nanoseconds than a floating point number can tell apart."""
    found = read(tmp_path, LIST.replace("12902,430", "12902960,12902959"))
    write_pods(tmp_path / "pods.csv", found.pods)
    assert read_pods(tmp_path / "pods.csv") == found.pods
    late = read(tmp_path, LIST.replace("427,12902,430", "12902950,12902960,12902959"))
    assert late.pods[-1] == PodRecord("pod-b", 12_902_923 * SECOND, SECOND, 48 * MIB)
    write_pods(tmp_path / "pods.csv", late.pods)
    assert read_pods(tmp_path / "pods.csv") == late.pods


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column name, arrival_ns, lifetime_ns, epc_bytes"),
        ("name,arrival_ns,lifetime_ns,epc_bytes\n", "no pod in the table"),
        ("name,arrival_ns,lifetime_ns,epc_bytes\na,0,1\n", "line 2: epc_bytes is ''"),
        ("name,arrival_ns,lifetime_ns,epc_bytes\na,0,1,5000\n", "5000 bytes of EPC are no whole pages"),
        ("name,arrival_ns,lifetime_ns,epc_bytes\na,0,1,0\n", "0 bytes of EPC are no whole pages"),
        ("name,arrival_ns,lifetime_ns,epc_bytes\na,0,1,4096\na,0,1,4096\n", "two pods are called a"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pods.csv").write_text(text)
    with pytest.raises(TraceFormatError, match=message):
        read_pods(tmp_path / "pods.csv")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text('0123456789,.\n "a-').map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for header in (b"", LIST.splitlines()[0].encode() + b"\n", b"name,arrival_ns,lifetime_ns,epc_bytes\n"):
        path.write_bytes(header + content)
        with suppress(TraceFormatError):
            assert read_openb(path, OpenbForm()).pods
        with suppress(TraceFormatError):
            assert read_pods(path)
