"""Restoring: every known attack is refused and nothing is written outside; on any failure the old tree stands."""
# ruff: noqa: S108 - /tmp is what attacks name

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backups.archive import extract as extract_module
from backups.archive import journal as journal_module
from backups.archive import restore as restore_module
from backups.archive.errors import (
    ArchiveDamagedError,
    ArchiveMissingError,
    ArchiveUnsafeError,
    DiskFullError,
    EndedEarlyError,
    TargetNotEmptyError,
)
from backups.archive.folderstore import FolderStore
from backups.archive.restore import Order, Restored, restore
from backups.archive.rules import Limits
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks, Store

NAME = "workspace_20260225_083812.tar.gz"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archives")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "home" / "workspace"


def bring(store: Store, name: str, target: Path, *, hooks: Hooks | None = None, **order: Any) -> Restored:
    return restore(store, name, Order(target=target, **order), hooks)


def keep(store: FolderStore, archive: bytes, *, checksum: str | None = None) -> None:
    upload = store.begin(NAME, Hooks())
    upload.write(archive)
    upload.publish(checksum or hashlib.sha256(archive).hexdigest())


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object) -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def made_of(*entries: tuple, top: bool = True, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for info, data in ([entry("workspace", tarfile.DIRTYPE, mode=0o755)] if top else []) + list(entries):
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue())


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tuple:
    return entry(name, kind, linkname=to)


W = "workspace/"
BIG = b"x" * 1000
ATTACKS: dict[str, tuple] = {
    "upward": (entry("workspace/../../evil", data=BIG),),
    "upward inside": (entry("workspace/a/../../../evil", data=BIG),),
    "absolute": (entry("/tmp/evil", data=BIG),),
    "another top": (entry("elsewhere/evil", data=BIG),),
    "through a symlink": (link(W + "out", "/tmp"), entry(W + "out/evil", data=BIG)),
    "through a relative symlink": (link(W + "out", "../.."), entry(W + "out/evil", data=BIG)),
    "through a symlink that comes later": (entry(W + "out/evil", data=BIG), link(W + "out", "/tmp")),
    "a symlink replaced by a file": (link(W + "x", "/etc/passwd"), entry(W + "x", data=BIG)),
    "a file replaced by a symlink": (entry(W + "x", data=BIG), link(W + "x", "/etc/passwd")),
    "a folder replaced by a symlink": (entry(W + "d", tarfile.DIRTYPE), link(W + "d", "/tmp")),
    "a folder on a symlink": (link(W + "d", "/tmp"), entry(W + "d", tarfile.DIRTYPE), entry(W + "d/evil")),
    "the top is a symlink": (link("workspace", "/tmp"), entry(W + "evil")),
    "a file twice": (entry(W + "x", data=b"1"), entry(W + "x", data=b"2")),
    "a file twice, spelled differently": (entry(W + "x", data=b"1"), entry("workspace/./x", data=b"2")),
    "below a file": (entry(W + "x", data=b"1"), entry(W + "x/y", data=b"2")),
    "hard link to the outside": (link(W + "x", "/etc/passwd", tarfile.LNKTYPE),),
    "hard link upward": (link(W + "x", "workspace/../../etc/passwd", tarfile.LNKTYPE),),
    "hard link to a symlink": (link(W + "l", "/etc/passwd"), link(W + "x", W + "l", tarfile.LNKTYPE)),
    "hard link through a symlink": (link(W + "l", "/etc"), link(W + "x", W + "l/passwd", tarfile.LNKTYPE)),
    "hard link to what comes later": (link(W + "x", W + "y", tarfile.LNKTYPE), entry(W + "y")),
    "hard link then written": (
        entry(W + "a"),
        link(W + "x", W + "a", tarfile.LNKTYPE),
        entry(W + "x", data=BIG),
    ),
    "a FIFO": (entry(W + "x", tarfile.FIFOTYPE),),
    "a character device": (entry(W + "x", tarfile.CHRTYPE, devmajor=1, devminor=8),),
    "a block device": (entry(W + "x", tarfile.BLKTYPE, devmajor=8),),
    "an unknown type": (entry(W + "x", b"Z"),),
    "a NUL in a link": (entry(W + "x", tarfile.SYMTYPE, pax_headers={"linkpath": "a\0b"}),),
    "an empty link": (link(W + "x", ""),),
    "too long a link": (link(W + "x", "a" * 5000),),
    "too long a name": (entry(W + "a" * 300),),
    "too deep": (entry(W + "d/" * 500 + "x"),),
    "sparse by an extended header": (
        entry(W + "x", data=b"1\n", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
    ),
    "sparse by an older extended header": (
        entry(W + "x", data=b"", pax_headers={"GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0"}),
    ),
    "a huge extended header": (entry(W + "x", pax_headers={"comment": "x" * 2_000_000}),),
}


@pytest.fixture
def watched(tmp_path: Path, target: Path) -> Iterator[None]:
    """The old tree stands, nothing is beside it, and nothing appeared outside."""
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    yield
    assert [path.name for path in target.parent.iterdir()] == ["workspace"]
    assert [path.name for path in target.iterdir()] == ["old"]
    assert not Path("/tmp/evil").exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.usefixtures("watched")
def test_attacks_are_refused(attack: str, store: FolderStore, target: Path) -> None:
    keep(store, made_of(*ATTACKS[attack], top=attack != "the top is a symlink"))
    with pytest.raises((ArchiveUnsafeError, ArchiveDamagedError)):
        bring(store, NAME, target, force=True)


def raw_header(**fields: bytes) -> bytes:
    header = bytearray(entry(W + "x")[0].tobuf(tarfile.USTAR_FORMAT))
    if "size" in fields:
        header[124:136] = fields["size"]
    if "kind" in fields:
        header[156:157] = fields["kind"]
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


RAW: dict[str, bytes] = {
    "a negative size": gzip.compress(raw_header(size=b"\xff" * 8 + struct.pack(">i", -1024)) + bytes(1024)),
    "an old GNU sparse file": gzip.compress(raw_header(kind=b"S") + bytes(1024)),
    "a name of a gigabyte": gzip.compress(raw_header(kind=b"L", size=b"07777777777\0") + bytes(4096)),
    "more content than there is": gzip.compress(raw_header(size=b"00000777777\0") + bytes(512)),
    "a wrong header checksum": gzip.compress(b"x" * 512 + bytes(1024)),
    "no tar at all": gzip.compress(b"hello"),
    "nothing": gzip.compress(b""),
    "no gzip at all": b"hello" * 100,
    "an empty file": b"",
    "half an archive": made_of(entry(W + "x", data=os.urandom(100_000)))[:50_000],
    "without its end": made_of(entry(W + "x", data=os.urandom(100_000)))[:-4],
    "a wrong gzip checksum": made_of(entry(W + "x", data=BIG))[:-8] + bytes(8),
    "a thousand nested headers": gzip.compress(
        entry(W + "x", pax_headers={"comment": "1"})[0].tobuf(tarfile.PAX_FORMAT)[:1024] * 3000 + bytes(1024)
    ),
}


@pytest.mark.parametrize("damage", RAW)
@pytest.mark.usefixtures("watched")
def test_broken_archives_are_refused(damage: str, store: FolderStore, target: Path) -> None:
    keep(store, RAW[damage])
    with pytest.raises((ArchiveUnsafeError, ArchiveDamagedError)):
        bring(store, NAME, target, force=True)


@pytest.mark.parametrize(
    ("limits", "archive"),
    [
        (Limits(entries=3), lambda: made_of(*(entry(f"{W}{number}") for number in range(3)))),
        (Limits(size=1_000_000), lambda: made_of(entry(W + "x", data=os.urandom(1_000_000)))),
        (Limits(ratio=10, free=0), lambda: made_of(entry(W + "x", data=bytes(10_000_000)))),
    ],
    ids=["entries", "bytes", "ratio"],
)
@pytest.mark.usefixtures("watched")
def test_limits_hold(limits: Limits, archive: Callable[[], bytes], store: FolderStore, target: Path) -> None:
    keep(store, archive())
    with pytest.raises(ArchiveUnsafeError):
        bring(store, NAME, target, force=True, limits=limits)


@pytest.mark.usefixtures("watched")
def test_a_full_disk_is_seen_before(store: FolderStore, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(store, made_of(entry(W + "x", data=BIG)))
    monkeypatch.setattr(restore_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    monkeypatch.setattr(restore_module, "extract", lambda *_: pytest.fail("something was written"))
    with pytest.raises(DiskFullError, match="needs 1,000 bytes"):
        bring(store, NAME, target, force=True, size=1000)


@pytest.mark.usefixtures("watched")
def test_a_disk_that_fills_up_meanwhile_keeps_a_reserve(
    store: FolderStore, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, made_of(entry(W + "x", data=BIG), entry(W + "y", data=BIG)))
    monkeypatch.setattr(extract_module, "_LOOK_EVERY", 1500)
    monkeypatch.setattr(extract_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 60 * 1024**2}))
    with pytest.raises(DiskFullError, match=r"y' needs 1,000; 67,108,864 stay free"):
        bring(store, NAME, target, force=True)


@pytest.mark.usefixtures("watched")
def test_a_wrong_checksum_is_refused(store: FolderStore, target: Path) -> None:
    keep(store, made_of(entry(W + "x")), checksum="0" * 64)
    with pytest.raises(ArchiveDamagedError, match="not what was stored"):
        bring(store, NAME, target, force=True)


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("moment", ["on_chunk", "before_publish"])
def test_stopping_leaves_the_old_tree(store: FolderStore, target: Path, moment: str) -> None:
    def stop(*_: object) -> None:
        raise EndedEarlyError("enough")

    keep(store, made_of(entry(W + "x", data=BIG)))
    with pytest.raises(EndedEarlyError):
        bring(store, NAME, target, hooks=Hooks(**{moment: stop}), force=True)


@pytest.mark.usefixtures("watched")
def test_a_folder_that_is_not_empty_needs_force(store: FolderStore, target: Path) -> None:
    keep(store, made_of(entry(W + "x")))
    with pytest.raises(TargetNotEmptyError, match="--force"):
        bring(store, NAME, target)
    with pytest.raises(ArchiveMissingError):
        bring(store, "workspace_20200101_000000.tar.gz", target, force=True)


def test_force_keeps_the_old_tree_beside(store: FolderStore, target: Path) -> None:
    keep(store, made_of(entry(W + "x", data=b"new")))
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    done = bring(store, NAME, target, force=True)
    assert [path.name for path in target.iterdir()] == ["x"]
    assert done.kept is not None
    assert (done.kept / "old").read_text() == "old"
    assert done.kept.name.startswith("workspace.before-restore-")
    assert len(list(target.parent.iterdir())) == 2


def test_without_the_exchange_call_two_renames_do_it_or_undo_it(
    store: FolderStore, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, made_of(entry(W + "x", data=b"new")))
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    monkeypatch.setattr(journal_module, "exchange", lambda *_: False)
    monkeypatch.setattr(journal_module, "rename_new_at", lambda *_: False)
    rename = os.rename

    def fail(old: str, new: str, **options: int) -> None:
        if old == "new":
            raise OSError(5, "Input/output error")
        rename(old, new, **options)

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", fail)
        with pytest.raises(Exception, match="Input/output error"):
            bring(store, NAME, target, force=True)
    assert (target / "old").read_text() == "old"
    done = bring(store, NAME, target, force=True)
    assert (target / "x").read_text() == "new"
    assert (done.kept / "old").read_text() == "old"


def test_links_are_kept_verbatim_and_special_bits_are_not(store: FolderStore, target: Path) -> None:
    keep(
        store,
        made_of(
            link(W + "python", "/usr/bin/python3"),
            link(W + "up", "../../.."),
            entry(W + "tool", data=b"#!", mode=0o6755),
            entry(W + "sealed", tarfile.DIRTYPE, mode=0o1555),
            entry(W + "sealed/inside", data=b"x", mode=0o400),
            entry(W + "implied/by/this", data=b"x"),
            entry(W + "implied", tarfile.DIRTYPE, mode=0o750),
            link(W + "same", W + "tool", tarfile.LNKTYPE),
        ),
    )
    bring(store, NAME, target)
    assert str((target / "python").readlink()) == "/usr/bin/python3"
    assert str((target / "up").readlink()) == "../../.."
    assert (target / "tool").stat().st_mode & 0o7777 == 0o755
    assert (target / "sealed").stat().st_mode & 0o7777 == 0o555
    assert (target / "implied").stat().st_mode & 0o7777 == 0o750
    assert (target / "same").stat().st_ino == (target / "tool").stat().st_ino


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_either_format(store: FolderStore, target: Path, form: int) -> None:
    deep = "/".join(["d" * 90] * 4) + "/夜班"
    keep(store, made_of(entry(W + deep, data=b"x"), form=form))
    bring(store, NAME, target)
    assert (target / deep).read_bytes() == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_restores_the_owner(store: FolderStore, target: Path) -> None:
    keep(store, made_of(entry(W + "x", uid=1234, gid=1235), entry(W + "y", uid=2**40), link(W + "l", "x")))
    bring(store, NAME, target)
    assert ((target / "x").stat().st_uid, (target / "x").stat().st_gid) == (1234, 1235)
    assert (target / "y").stat().st_uid == 0


def test_an_archive_without_a_checksum_is_restored_and_said(store: FolderStore, target: Path) -> None:
    keep(store, made_of(entry(W + "x")))
    (store.folder / f"{NAME}.sha256").unlink()
    assert not bring(store, NAME, target).verified


def test_from_s3(rclone_s3: S3Settings, target: Path) -> None:
    store = S3Store(rclone_s3, "workspace/agent")
    keep(store, made_of(entry(W + "x", data=BIG)))
    assert bring(store, NAME, target).verified
    assert (target / "x").read_bytes() == BIG


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_mounted_volume_is_filled_entry_by_entry(store: FolderStore, mounted: Path) -> None:
    keep(store, made_of(entry(W + "x", data=b"new"), entry(W + "both", data=b"new")))
    assert bring(store, NAME, mounted).kept is None
    assert sorted(path.name for path in mounted.iterdir()) == ["both", "x"]
    (mounted / "both").write_text("old")
    done = bring(store, NAME, mounted, force=True)
    assert (done.kept / "both").read_text() == "old"
    assert (mounted / "both").read_text() == "new"
    assert done.kept.parent == mounted


def test_a_mounted_volume_stays_as_it_was_when_a_move_fails(
    store: FolderStore, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, made_of(entry(W + "x", data=b"new"), entry(W + "y", data=b"new")))
    (mounted / "old").write_text("old")
    rename, moved = journal_module.rename_new_at, []

    def fail(old: tuple[int, str], new: tuple[int, str]) -> bool:
        moved.append(old)
        if len(moved) == 3:
            raise OSError(5, "Input/output error")
        return rename(old, new)

    monkeypatch.setattr(journal_module, "rename_new_at", fail)
    with pytest.raises(Exception, match="Input/output error"):
        bring(store, NAME, mounted, force=True)
    assert (mounted / "old").read_text() == "old"
    assert [path.name for path in mounted.iterdir()] == ["old"]


def test_a_disk_that_fills_up_leaves_the_old_tree(store: FolderStore, tmp_path: Path) -> None:
    """A real one, at each phase: unpacking, and keeping the journal."""
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    options = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", small]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    keep(store, made_of(*(entry(f"{W}{number}", data=os.urandom(500_000)) for number in range(20))))
    target = small / "home" / "workspace"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    try:
        for filler in (0, 3_900_000, 4_100_000):
            with contextlib.suppress(OSError), (small / "filler").open("wb") as file:
                file.write(bytes(filler))
            with pytest.raises(DiskFullError):
                bring(store, NAME, target, force=True)
            assert [path.name for path in target.parent.iterdir()] == ["workspace"]
            assert (target / "old").read_text() == "old"
    finally:
        subprocess.run(["umount", small], check=True)
