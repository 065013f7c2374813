"""Restoring an archive: verified, written beside, put in place at once. On any failure the old stands."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from backups.archive.errors import ArchiveDamagedError, DiskFullError, TargetNotEmptyError, store_error
from backups.archive.extract import extract, scan
from backups.archive.rename import exchange, rename_new, sync_folder
from backups.archive.rules import Limits
from backups.archive.stores import Hooks, Readable, Store
from backups.archive.tarwriter import CHUNK

_STAGING = ".restore-"


@dataclass(frozen=True, kw_only=True)
class Restored:
    """``verified``: a checksum was there and agreed. ``kept``: where the former tree is, if there was one."""

    entries: int
    size: int
    sha256: str
    verified: bool
    kept: Path | None


def restore(
    store: Store,
    name: str,
    target: Path,
    *,
    force: bool = False,
    limits: Limits | None = None,
    hooks: Hooks | None = None,
) -> Restored:
    """Make ``target`` the archive's tree. A tree that is there is kept beside it, and needs ``force``."""
    limits, hooks = limits or Limits(), hooks or Hooks()
    target = target.resolve()
    with _failures(target):
        _require_room(target, force=force)
        # A mounted volume cannot be exchanged as a whole: there the staging lies inside and its entries move.
        inside = target.is_mount()
        home = target if inside else target.parent
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file, _staging(home) as staging:
            digest, verified = _fetch(store, name, file, hooks)
            found = scan(file, name, limits, hooks)
            _require_space(home, found.size)
            with _opened(staging) as root:
                extract(file, name, root, limits, hooks)
                # The exchange must not become durable before the files: a power cut would leave empty ones.
                ctypes.CDLL(None).syncfs(root)
                hooks.before_publish()
                kept = _move_entries(root, target, staging.name) if inside else _place(staging, target)
    return Restored(entries=found.entries, size=found.size, sha256=digest, verified=verified, kept=kept)


@contextlib.contextmanager
def _failures(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_error(error, str(target)) from error


def _require_room(target: Path, *, force: bool) -> None:
    if not force and target.exists() and any(target.iterdir()):
        raise TargetNotEmptyError(
            f"{target} is not empty, so nothing was restored. Name another folder, or ask for the exchange "
            "explicitly (--force): what is there now is then kept beside it.",
        )


def _require_space(home: Path, size: int) -> None:
    free = shutil.disk_usage(home).free
    if size > free:
        raise DiskFullError(
            f"The archive needs {size:,} bytes and the disk of {home} has {free:,}. Nothing was written: "
            "free some space, or restore to another disk.",
        )


@contextlib.contextmanager
def _staging(home: Path) -> Iterator[Path]:
    staging = home / f"{_STAGING}{secrets.token_hex(8)}"
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fetch(store: Store, name: str, file: IO[bytes], hooks: Hooks) -> tuple[str, bool]:
    """The archive into a file without a name: it is read more than once, and only after it was verified."""
    expected = store.checksum(name)
    with contextlib.closing(store.reader(name)) as reader:
        digest = _copy(reader, file, hooks)
    if expected is not None and digest != expected:
        raise ArchiveDamagedError(
            f"The archive {name} is not what was stored: its SHA-256 is {digest}, the one beside it "
            f"{expected}. Nothing was restored: take another one.",
        )
    return digest, expected is not None


def _copy(reader: Readable, file: IO[bytes], hooks: Hooks) -> str:
    digest = hashlib.sha256()
    while chunk := reader.read(CHUNK):
        digest.update(chunk)
        file.write(chunk)
        hooks.on_chunk(file.tell(), 0)
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(folder: Path | str, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _place(staging: Path, target: Path) -> Path | None:
    """Exchange the trees in one step where the system can, else by two renames that are undone on failure."""
    if not target.exists() or not any(target.iterdir()):
        staging.rename(target)  # also over an empty folder, and never over one that is not
        sync_folder(target.parent)
        return None
    kept = target.with_name(f"{target.name}{_kept_suffix()}")
    if exchange(staging, target):
        _rename(staging, kept)
    else:
        _two_renames(staging, target, kept)
    sync_folder(target.parent)
    return kept


def _two_renames(staging: Path, target: Path, kept: Path) -> None:
    _rename(target, kept)
    try:
        staging.rename(target)
    except BaseException:
        kept.rename(target)
        raise


def _rename(old: Path, new: Path) -> None:
    if not rename_new(old, new):
        old.rename(new)


def _kept_suffix() -> str:
    return f".before-restore-{datetime.now(UTC):%Y%m%d_%H%M%S}"


def _move_entries(staged: int, target: Path, staging: str) -> Path | None:
    """For a mounted folder: entry by entry, and back again when one of them cannot be moved.

    Through open folders: the volume is the agent's, who could put a link where a folder was.
    """
    with _opened(target) as root:
        old = [name for name in os.listdir(root) if name != staging]  # noqa: PTH208 - of a descriptor
        kept = _kept_suffix()
        if not old:
            _move_all([(name, staged, root) for name in os.listdir(staged)])
            return None
        os.mkdir(kept, 0o700, dir_fd=root)
        with _opened(kept, root) as former:
            moves = [(name, root, former) for name in old]
            _move_all(moves + [(name, staged, root) for name in os.listdir(staged)])
        os.fsync(root)
    return target / kept


def _move_all(moves: list[tuple[str, int, int]]) -> None:
    done: list[tuple[str, int, int]] = []
    try:
        for name, source, destination in moves:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=destination)
            done.append((name, source, destination))
    except BaseException:
        for name, source, destination in reversed(done):
            os.rename(name, name, src_dir_fd=destination, dst_dir_fd=source)
        raise
