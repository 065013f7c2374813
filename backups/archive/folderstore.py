"""Archives in a folder of this host, one folder per agent."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from backups.archive.errors import (
    ArchiveError,
    ArchiveMissingError,
    NameTakenError,
    StoreFailedError,
    store_error,
)
from backups.archive.naming import (
    CHECKSUM_SUFFIX,
    checksum_line,
    is_archive_name,
    newest_first,
    parse_checksum,
    require_archive_name,
)
from backups.archive.rename import rename_new, sync_folder
from backups.archive.stores import Handle, Hooks, Readable, Stored

_PARTIAL_SUFFIX = ".part"


class FolderStore:
    """Archives may hold secrets: a folder made here is 0700, a file 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)

    def archives(self) -> list[Stored]:
        with self._failures():
            try:
                entries = list(os.scandir(self.folder))
            except FileNotFoundError:
                return []
            found = [_stored(entry) for entry in entries if is_archive_name(entry.name) and entry.is_file()]
        return sorted(found, key=lambda archive: newest_first(archive.name), reverse=True)

    def exists(self, name: str) -> bool:
        return os.path.lexists(self._path(name))

    def begin(self, name: str, hooks: Hooks) -> FolderUpload:
        with self._failures():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return FolderUpload(self._path(name), hooks)

    def reader(self, name: str, *, offset: int = 0) -> Readable:
        with self._failures():
            try:
                file = self._path(name).open("rb")
            except FileNotFoundError as error:
                self._require_folder()
                raise self._missing(name) from error
            file.seek(offset)
            return file

    def checksum(self, name: str) -> str | None:
        with self._failures():
            try:
                return parse_checksum(_beside(self._path(name)).read_bytes())
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        with self._failures():
            try:
                self._path(name).unlink()
            except FileNotFoundError as error:
                raise self._missing(name) from error
            _beside(self._path(name)).unlink(missing_ok=True)
            sync_folder(self.folder)

    def reap(self, handle: Handle) -> bool:
        path = self._path(str(handle["name"]))
        with self._failures():
            found = os.path.lexists(_partial(path))
            _partial(path).unlink(missing_ok=True)
            if not path.exists():
                _beside(path).unlink(missing_ok=True)
        return found

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _path(self, name: str) -> Path:
        return self.folder / require_archive_name(name)

    def _require_folder(self) -> None:
        """A volume that is not mounted says nothing of the archives that it holds."""
        if not self.folder.is_dir():
            raise StoreFailedError(f"The folder {self.folder} is not there. Is its volume mounted?")

    def _missing(self, name: str) -> ArchiveError:
        return ArchiveMissingError(f"There is no archive {name} in {self.place}.")

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise store_error(error, self.place) from error


class FolderUpload:
    """Writes to a temporary name in the same folder; opening it exclusively claims the archive's name."""

    def __init__(self, path: Path, hooks: Hooks) -> None:
        self._path, self._hooks = path, hooks
        self._over = False
        hooks.on_handle({"store": "folder", "folder": str(path.parent), "name": path.name})
        self._file = _open_partial(_partial(path))
        if os.path.lexists(path):
            self.abort()
            raise NameTakenError(f"{path.name} exists.")

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise store_error(error, str(self._path.parent)) from error

    def publish(self, sha256: str) -> None:
        """Checksum first: an archive that can be seen always has one."""
        try:
            _settle(self._file)
            self._hooks.before_publish()
            self._publish_checksum(sha256)
            _give_name(_partial(self._path), self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise store_error(error, str(self._path.parent)) from error
        self._over = True

    def _publish_checksum(self, sha256: str) -> None:
        beside = _beside(self._path)
        # The name is claimed, so a checksum without an archive is the rest of a crash.
        beside.unlink(missing_ok=True)
        with _open_new(beside) as file:
            file.write(checksum_line(self._path.name, sha256))
            _settle(file)

    def abort(self) -> None:
        if self._over:
            return
        self._over = True
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            _partial(self._path).unlink(missing_ok=True)
        if not os.path.lexists(self._path):
            with contextlib.suppress(OSError):
                _beside(self._path).unlink(missing_ok=True)


def _stored(entry: os.DirEntry[str]) -> Stored:
    status = entry.stat()
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return Stored(name=entry.name, size=status.st_size, modified=modified)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PARTIAL_SUFFIX}")


def _beside(path: Path) -> Path:
    return path.with_name(path.name + CHECKSUM_SUFFIX)


def _open_new(path: Path) -> BinaryIO:
    """A new file of this user's own; never an old one, never through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, flags, 0o600), "wb")
    except FileExistsError as error:
        raise NameTakenError(f"{path.name} is just being written by another backup.") from error


def _open_partial(path: Path) -> BinaryIO:
    """Locked while its process lives: one that nobody holds is the rest of a crash, and makes room."""
    try:
        file = _open_new(path)
    except NameTakenError:
        if not _is_stale(path):
            raise
        path.unlink(missing_ok=True)
        file = _open_new(path)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _is_stale(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _give_name(partial: Path, path: Path) -> None:
    """Publish in one step that refuses to overwrite."""
    try:
        os.link(partial, path)
    except FileExistsError as error:
        raise NameTakenError(f"{path.name} exists.") from error
    except OSError as error:
        _rename_into_place(partial, path, error)
    else:
        partial.unlink()


def _rename_into_place(partial: Path, path: Path, cause: OSError) -> None:
    """For file systems without hard links."""
    try:
        renamed = rename_new(partial, path)
    except FileExistsError as error:
        raise NameTakenError(f"{path.name} exists.") from error
    if not renamed:
        raise StoreFailedError(
            f"The file system of {path.parent} can neither link nor rename without overwriting "
            f"({cause.strerror}): choose another folder.",
        ) from cause
