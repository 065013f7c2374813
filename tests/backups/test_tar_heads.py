"""Heads: what is written is read again, by us and by Python; what was made to do harm is not."""

from __future__ import annotations

import io
import os
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.archive.errors import ArchiveDamagedError, ArchiveUnsafeError
from backups.archive.heads import Head, encode, padding
from backups.archive.tarstream import TarStream

part = st.binary(min_size=1, max_size=120).filter(lambda text: not {0, 47} & set(text) and text not in {b".", b".."})
names = st.lists(part, min_size=1, max_size=6).map(lambda parts: os.fsdecode(b"/".join(parts)))
numbers = st.integers(min_value=0, max_value=2**40)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    kind = draw(st.sampled_from(["folder", "file", "symlink", "hardlink"]))
    size, extents = 0, None
    if kind == "file":
        size = draw(st.integers(0, 3000))
        if draw(st.booleans()):
            cuts = sorted(draw(st.sets(st.integers(0, size), max_size=8)))
            pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
            extents = tuple((start, end - start) for start, end in pairs)
    return Head(
        name=draw(names),
        kind=kind,  # type: ignore[arg-type]
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(numbers),
        gid=draw(numbers),
        mtime=draw(st.integers(-(2**33), 2**35)),
        size=size,
        link=draw(names) if kind in {"symlink", "hardlink"} else "",
        extents=extents,
    )


def tar_of(entries: list[Head]) -> bytes:
    return b"".join(encode(head) + b"x" * head.stored + padding(head.stored) for head in entries) + bytes(1024)


def stream_of(data: bytes, size: int = 700) -> TarStream:
    pieces = iter([data[start : start + size] for start in range(0, len(data), size)])
    return TarStream(lambda: next(pieces, b""))


@given(st.lists(heads(), min_size=1, max_size=5), st.integers(1, 3000))
def test_what_is_written_is_read(entries: list[Head], size: int) -> None:
    stream = stream_of(tar_of(entries), size)
    found = []
    for head in stream:
        found.append(head)
        assert b"".join(stream.content()) == b"x" * head.stored
    assert found == entries


@given(st.lists(heads(), min_size=1, max_size=5))
def test_python_reads_the_same(entries: list[Head]) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar_of(entries)), encoding="utf-8", errors="surrogateescape") as tar:
        found = tar.getmembers()
    assert [(os.fsencode(info.name), info.mode, info.uid, info.gid, int(info.mtime)) for info in found] == [
        (os.fsencode(head.name), head.mode, head.uid, head.gid, head.mtime) for head in entries
    ]
    assert [info.size for info in found if info.isreg()] == [head.size for head in entries if head.kind == "file"]


@given(st.lists(heads(), min_size=1, max_size=3), st.data())
def test_cut_anywhere_it_is_damaged(entries: list[Head], data: st.DataObject) -> None:
    whole = tar_of(entries)
    length = data.draw(st.integers(0, len(whole) - 1024))
    with pytest.raises(ArchiveDamagedError):
        for _ in stream_of(whole[:length]):
            pass


@given(st.binary(max_size=2048), st.binary(max_size=512))
def test_whatever_it_is_given_it_ends_with_an_error_of_ours(junk: bytes, body: bytes) -> None:
    header = bytearray(encode(Head(name="x", kind="file", size=len(body))))
    header[156:157] = junk[:1] or b"0"
    header[124 : 124 + len(junk[1:13])] = junk[1:13]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    for data in (junk, bytes(header) + body + padding(len(body)) + junk):
        try:
            for _ in stream_of(data):
                pass
        except (ArchiveDamagedError, ArchiveUnsafeError):
            continue


def pax(**records: bytes) -> bytes:
    body = b""
    for key, value in records.items():
        rest = b" %s=%s\n" % (key.replace("_", ".", 2).encode(), value)
        length = len(rest) + 2 if len(rest) + 2 < 100 else len(rest) + 3
        body += b"%d%s" % (length, rest)
    head = bytearray(encode(Head(name="pax", kind="file", size=len(body))))
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + body + padding(len(body))


def sparse(the_map: bytes, real: bytes, data: bytes = b"") -> bytes:
    content = the_map + padding(len(the_map)) + data
    told = pax(GNU_sparse_major=b"1", GNU_sparse_minor=b"0", GNU_sparse_name=b"x", GNU_sparse_realsize=real)
    return told + encode(Head(name="x", kind="file", size=len(content))) + content + padding(len(content)) + bytes(1024)


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (sparse(b"1\n0\n10\n", b"10", b"x" * 5), "what is not so"),
        (sparse(b"1\n0\n10\n", b"5", b"x" * 10), "what is not so"),
        (sparse(b"2\n5\n10\n0\n5\n", b"20", b"x" * 15), "overlap"),
        (sparse(b"99999\n", b"5"), "10,000 parts"),
        (sparse(b"1\n-1\n5\n", b"5", b"x" * 5), "no number"),
        (sparse(b"7" * 600, b"5"), "map"),
        (sparse(b"3\n0\n1\n", b"5", b"x"), "map"),
        (sparse(b"1\n0\n5\n", b"x5", b"x" * 5), "no number"),
    ],
)
def test_a_sparse_file_that_lies_is_refused(archive: bytes, text: str) -> None:
    with pytest.raises((ArchiveDamagedError, ArchiveUnsafeError), match=text):
        for _ in stream_of(archive):
            pass


def test_one_name_for_all_entries_is_refused_and_a_comment_is_not() -> None:
    told = bytearray(pax(comment=b"made by git"))
    told[156:157] = b"g"
    told[148:156] = b" " * 8
    told[148:156] = b"%06o\0 " % sum(told[:512])
    tail = tar_of([Head(name="x", kind="file", size=5)])
    assert [head.name for head in stream_of(bytes(told) + tail)] == ["x"]
    told = bytearray(pax(path=b"evil"))
    told[156:157] = b"g"
    told[148:156] = b" " * 8
    told[148:156] = b"%06o\0 " % sum(told[:512])
    with pytest.raises(ArchiveUnsafeError, match="one name"):
        list(stream_of(bytes(told) + tail))


def test_what_is_left_out_is_told() -> None:
    fifo = bytearray(encode(Head(name="pipe", kind="file")))
    fifo[156:157] = b"6"
    fifo[148:156] = b" " * 8
    fifo[148:156] = b"%06o\0 " % sum(fifo)
    data = bytes(fifo) + tar_of([Head(name="x", kind="file", size=5)])
    told: list[str] = []
    pieces = iter([data])
    assert [head.name for head in TarStream(lambda: next(pieces, b""), leave_out=told.append)] == ["x"]
    assert told == ["pipe"]
    with pytest.raises(ArchiveUnsafeError, match="a FIFO"):
        list(stream_of(data))


def test_a_header_of_many_small_records_takes_no_time() -> None:
    records = pax(**{f"k{number:05}": b"" for number in range(20_000)})
    archive = records + tar_of([Head(name="x", kind="file")])
    began = time.process_time()
    with pytest.raises(ArchiveUnsafeError, match="more attributes"):
        list(stream_of(archive, 65536))
    assert time.process_time() - began < 5, "seconds, where a fraction of one is usual"
