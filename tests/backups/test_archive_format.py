"""What an archive looks like to us, to GNU tar and to Python; what its manifest says."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from backups.archive import gzipcodec
from backups.archive.errors import ArchiveDamagedError, SourceChangedError
from backups.archive.folder import Scope, fingerprint_of, open_folder, pack_folder
from backups.archive.footer import SIZE, footer, manifest_offset
from backups.archive.manifest import About
from backups.archive.reading import Found, Reading
from backups.archive.stores import Hooks
from backups.archive.tarwriter import TarWriter

COMPARE = Path(__file__).parents[1] / "tools" / "manifest.py"
MIB = 1024 * 1024


def packed(folder: Path, scope: Scope | None = None, about: About | None = None) -> bytes:
    parts: list[bytes] = []
    with TarWriter(parts.append, Hooks(), about) as writer:
        pack_folder(open_folder(folder), writer, scope)
    assert writer.size == sum(map(len, parts))
    return b"".join(parts)


def read(archive: bytes, top: str = "workspace") -> Found:
    with Reading(io.BytesIO(archive), top=top) as reading:
        for _ in reading:
            pass
        return reading.found()


def manifest_of(archive: bytes) -> list[dict[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = tar.extractfile("watchbill-manifest.jsonl")
        assert content
        return [json.loads(line) for line in content]


def differences(one: Path, other: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, COMPARE, one, other], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found["diffs"]  # type: ignore[no-any-return]


def test_the_manifest_tells_each_entry(workspace: Path) -> None:
    about = About(organisation="acme", agent="lead", source="/srv/lead")
    first, *entries, last = manifest_of(packed(workspace, about=about))
    told = first["archive"]
    assert (told["format"], told["kind"], told["agent"], told["source"]) == (1, "workspace", "lead", "/srv/lead")
    assert told["tool"].startswith("watchbill ")
    found = {entry["path"]: entry for entry in entries}
    script = found["workspace/run-again.sh"]
    assert (script["type"], script["mode"], script["size"]) == ("file", "0750", 18)
    assert script["sha256"] == hashlib.sha256((workspace / "run.sh").read_bytes()).hexdigest()
    assert found["workspace/run.sh"] == found["workspace/run.sh"] | {"type": "hardlink", "link": script["path"]}
    assert found["workspace/bin/python"]["link"] == "/usr/bin/python3"
    assert found["workspace/zero"]["mtime"] == 1_700_000_000
    assert last["end"]["entries"] == len(entries) == 10


def test_the_footer_tells_where_the_manifest_begins(workspace: Path) -> None:
    archive = packed(workspace)
    offset = manifest_offset(archive[-SIZE:])
    assert offset is not None
    member = gzip.decompress(archive[offset:])
    assert member[512:].startswith(b'{"archive"')
    assert manifest_offset(footer(0)[1:] + b"\0") is None


@pytest.mark.parametrize("how", ["isal", "zlib"])
def test_gnu_tar_and_python_unpack_it_without_us(
    workspace: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "zlib":
        monkeypatch.setattr(gzipcodec, "_zlib", zlib)
    with (workspace / "sparse").open("wb") as file:
        for offset in (3 * MIB, 9 * MIB):
            file.seek(offset)
            file.write(b"x" * 4096)
        file.truncate(20 * MIB)
    (workspace / ("long-" * 30)).write_text("x")
    archive = packed(workspace)
    assert read(archive).manifest is not None
    for name, command in (("gnu", ["tar", "xzf", "-"]), ("piped", ["sh", "-c", "gunzip | tar x"])):
        (tmp_path / name).mkdir()
        subprocess.run(command, cwd=tmp_path / name, input=archive, check=True)
        assert differences(workspace, tmp_path / name / "workspace") == {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path / "python", filter="fully_trusted")  # noqa: S202 - made a moment ago
    assert differences(workspace, tmp_path / "python" / "workspace") == {}


def test_what_gnu_tar_makes_is_read(workspace: Path) -> None:
    with (workspace / "sparse").open("wb") as file:
        file.seek(5 * MIB)
        file.write(b"x")
        file.truncate(9 * MIB)
    for options in (["--format=posix", "--sparse"], ["--format=gnu"], ["--format=ustar"], ["--format=v7"]):
        made = subprocess.run(
            ["tar", "czf", "-", *options, "workspace"], cwd=workspace.parent, capture_output=True, check=True
        )
        found = read(made.stdout)
        assert (found.entries, found.manifest) == (11, None), options


def test_the_hash_of_a_sparse_file_is_the_one_that_sha256sum_says(workspace: Path) -> None:
    path = workspace / "sparse"
    with path.open("wb") as file:
        file.seek(5 * MIB)
        file.write(os.urandom(100_000))
        file.truncate(9 * MIB)
    entries = {entry.get("path"): entry for entry in manifest_of(packed(workspace))}
    assert entries["workspace/sparse"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert entries["workspace/sparse"]["size"] == 9 * MIB


def test_each_changed_byte_is_noticed(workspace: Path) -> None:
    archive = packed(workspace)
    for at in range(0, len(archive), 7):
        damaged = bytearray(archive)
        damaged[at] ^= 0x10
        try:
            found = read(bytes(damaged))
        except ArchiveDamagedError:
            continue
        # A byte of a gzip header that means nothing: the archive as a whole is another one all the same.
        assert found.sha256 != hashlib.sha256(archive).hexdigest()
        assert found.manifest is not None


def test_each_cut_is_noticed(workspace: Path) -> None:
    archive = packed(workspace)
    end = len(archive) - SIZE  # the footer holds nothing of the tree
    for length in [*range(0, end, 11), end - 1]:
        with pytest.raises(ArchiveDamagedError):
            read(archive[:length])


def test_a_manifest_that_tells_something_else_is_noticed(workspace: Path) -> None:
    """As after a repair by hand: everything is whole, but not what was archived."""
    archive = packed(workspace)
    plain = gzip.decompress(archive)
    other = plain.replace(b"\xe5\xa4\x9c\xe7\x8f\xad\n", b"\xe5\xa4\x9c\xe7\x8f\xad!")
    assert other != plain
    with pytest.raises(ArchiveDamagedError, match="manifest do not agree"):
        read(gzip.compress(other))


def test_what_is_left_out_and_where_it_stands(workspace: Path, tmp_path: Path) -> None:
    scope = Scope(top="", leave_out=frozenset({"notes/empty", "bin"}))
    archive = packed(workspace, scope)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert [name for name in tar.getnames() if "watchbill" not in name] == [
            "notes",
            "notes/今日.md",
            "run-again.sh",
            "run.sh",
            "zero",
        ]
    assert read(archive, top="").entries == 5


def test_strict_fails_where_else_a_change_is_noted(workspace: Path) -> None:
    def change(read_: int, _: int) -> None:
        if read_ >= 256 * 1024:
            os.truncate(workspace / "a-log", 700_000)

    def pack(*, strict: bool) -> tuple[int, str]:
        (workspace / "a-log").write_bytes(b"x" * 600_000)
        with TarWriter(lambda _: None, Hooks(on_chunk=change)) as writer:
            found = pack_folder(open_folder(workspace), writer, Scope(strict=strict))
        return writer.packed.changed, found.value

    assert pack(strict=False) == (1, "")
    with pytest.raises(SourceChangedError, match="a-log changed while being read"):
        pack(strict=True)


def test_a_fingerprint_tells_states_apart(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backups.archive import fingerprint

    assert fingerprint_of(open_folder(workspace)).value == "", "changed just now: the clock of the kernel is coarse"
    monkeypatch.setattr(fingerprint, "_SETTLED", 0.0)
    seen = [fingerprint_of(open_folder(workspace)).value]
    assert seen[0]
    with TarWriter(lambda _: None, Hooks()) as writer:
        assert pack_folder(open_folder(workspace), writer).value == seen[0]
    script = workspace / "run.sh"
    before = script.stat()
    changes = [
        lambda: script.write_text("#!/bin/sh\necho ho\n"),
        lambda: os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns)),
        lambda: script.chmod(0o700),
        (workspace / "notes" / "empty" / "new").touch,
        lambda: (workspace / "zero").rename(workspace / "nil"),
        lambda: shutil.copy2(workspace / "nil", workspace / "zero"),
    ]
    for change in changes:
        change()
        seen.append(fingerprint_of(open_folder(workspace)).value)
    assert len(set(seen)) == len(changes) + 1
    assert fingerprint_of(open_folder(workspace)).value == seen[-1]
    without = Scope(leave_out=frozenset({"notes"}))
    assert fingerprint_of(open_folder(workspace), without).value not in seen


def test_chosen_paths_come_with_the_folders_on_their_way(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = Scope(top="", paths=("notes/今日.md", "bin"))
    archive = packed(workspace, scope)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = [name for name in tar.getnames() if "watchbill" not in name]
    assert names == ["bin", "bin/python", "bin/up", "notes", "notes/今日.md"]
    monkeypatch.setattr("backups.archive.fingerprint._SETTLED", 0.0)
    before = fingerprint_of(open_folder(workspace), scope).value
    (workspace / "zero").write_text("not chosen")
    assert fingerprint_of(open_folder(workspace), scope).value == before
    (workspace / "notes" / "今日.md").write_text("chosen")
    assert fingerprint_of(open_folder(workspace), scope).value != before
