"""What a restore is about to do, written down before it is done, so that a crash at any point can be undone.

The journal lies in the staging folder, beside (or, on a mounted volume, in) the folder that is restored. Each step
moves one name or exchanges two, which the kernel does wholly or not at all; the inode of what it brings tells whether
it was done. The staging folder is locked while its process lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from backups.archive.errors import RestoreBrokenError
from backups.archive.rename import exchange, rename_new_at

STAGING = ".watchbill-restore-"
#: In the name of what keeps the former tree.
KEPT = ".before-restore-"
#: What SQLite keeps beside a database: with another database in its place, they would damage it.
COMPANIONS = ("-wal", "-shm", "-journal")
_NAME, _THROUGH = "journal.json", "through.json"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_MOST_BYTES = 256 * 1024**2

Phase = Literal["staging", "moving", "moved"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """``source`` and ``destination`` are relative to the folder that holds the staging. ``inode``: of what is brought.

    ``exchange``: both names exist, before and after.
    """

    source: str
    destination: str
    inode: int
    exchange: bool = False


@dataclass(kw_only=True)
class Journal:
    """``target``: the folder's name as the caller gave it; ``kept``: where the former one is afterwards, if any.

    ``undoes``: of an undo, the former tree that it brings back, if there was one. ``owner``: whose record of it is
    still to be written when it is through; empty for nobody's, which anyone may forget.

    All that is told is written before the first step; that it is through is told by a change of the file's name, which
    takes no room on a full disk.
    """

    target: str
    staging: str
    archive: str = ""
    phase: Phase = "staging"
    kept: str = ""
    steps: list[Step] = field(default_factory=list)
    placed: dict[str, list[str]] = field(default_factory=dict)
    owner: str = ""
    is_undo: bool = False
    undoes: str = ""

    def save(self, staging: int) -> None:
        """Durable when it returns."""
        text = json.dumps(asdict(self)).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_NAME + ".new", flags, 0o600, dir_fd=staging), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(_NAME + ".new", _NAME, src_dir_fd=staging, dst_dir_fd=staging)
        os.fsync(staging)

    def through(self, staging: int) -> None:
        """Every step was taken: from now on it stays."""
        self._rename(_NAME, _THROUGH, staging)
        self.phase = "moved"

    def taken_up_again(self, staging: int) -> None:
        """The steps are about to be taken back: a crash in the middle must not be taken for one that was through."""
        if self.phase == "moved":
            self._rename(_THROUGH, _NAME, staging)
            self.phase = "moving"

    def _rename(self, former: str, name: str, staging: int) -> None:
        os.rename(former, name, src_dir_fd=staging, dst_dir_fd=staging)
        os.fsync(staging)


def forget(staging: int) -> None:
    """Whoever comes next finds nothing to settle, even where the rest of the folder can't be removed."""
    for name in (_NAME, _THROUGH):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)


def load(staging: int, home: Path) -> Journal | None:
    """None where the process died before it wrote one: then nothing was moved. ``home``: the folder that holds it."""
    for name in (_THROUGH, _NAME):
        with contextlib.suppress(FileNotFoundError):
            found = _read(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=staging), home)
            if name == _THROUGH:
                found.phase = "moved"
            return found
    return None


def _read(descriptor: int, home: Path) -> Journal:
    with os.fdopen(descriptor, "rb") as file:
        try:
            values: dict[str, Any] = json.loads(file.read(_MOST_BYTES))
            found = Journal(**values | {"steps": [Step(**step) for step in values["steps"]]})
            _require_harmless(found, home)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _no_journal(error) from error
    return found


def _require_harmless(found: Journal, home: Path) -> None:
    """Where an agent can write, it may have made it up: nothing in it leads away from the target. ``ValueError``."""
    if found.placed.keys() - {"brought", "retired", "carried"}:
        raise ValueError("what it placed")
    paths = [path for step in found.steps for path in (step.source, step.destination)]
    for path in (*paths, *(path for each in found.placed.values() for path in each)):
        if not is_below(path):
            raise ValueError(f"the path {path!r}")
    prefix = former_name(Path(found.target), home)
    for kept in filter(None, (found.kept, found.undoes)):
        if Path(kept).parent != home or not Path(kept).name.startswith(prefix):
            raise ValueError(f"the former tree {kept!r}")


def former_name(target: Path, home: Path) -> str:
    """What the name of a former tree of this target begins with: it lies beside it, or in it where that is mounted."""
    return KEPT if home == target else f"{target.name}{KEPT}"


def is_below(path: str) -> bool:
    """Whether a relative path leads down and nowhere else."""
    return all(part not in {"", ".", ".."} for part in path.split("/"))


def _no_journal(reason: object) -> RestoreBrokenError:
    """On a mounted volume the agent can write to it: what it says is checked, and never leads outside."""
    return RestoreBrokenError(
        f"The journal of a former restore can't be read ({reason}). Look at the folder that holds it (its name begins "
        f"with {STAGING}), put what belongs there in place by hand, remove it, then try again.",
    )


def try_lock(staging: int) -> bool:
    """Whether nobody else works in it. Held until the descriptor is closed."""
    try:
        fcntl.flock(staging, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(step: Step, home: int) -> None:
    """Do it, once."""
    if _is_done(step, home):
        return
    with _folder_of(step.source, home) as old, _folder_of(step.destination, home, make=True) as new:
        source, destination = (old, _last(step.source)), (new, _last(step.destination))
        if not (exchange if step.exchange else rename_new_at)(source, destination):
            os.rename(source[1], destination[1], src_dir_fd=old, dst_dir_fd=new)
        os.fsync(old)
        os.fsync(new)


def undo(step: Step, home: int, *, tidies: bool = True) -> None:
    """Take it back where it was done. ``tidies``: folders that were made to keep what is back in its place go."""
    if not _is_done(step, home):
        return
    with _folder_of(step.source, home) as old, _folder_of(step.destination, home) as new:
        source, destination = (old, _last(step.source)), (new, _last(step.destination))
        if not (exchange if step.exchange else rename_new_at)(destination, source):
            os.rename(destination[1], source[1], src_dir_fd=new, dst_dir_fd=old)
        os.fsync(old)
        os.fsync(new)
    if tidies:
        _tidy(step.destination, home)


def _tidy(path: str, home: int) -> None:
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        if KEPT in parts[0]:
            with contextlib.suppress(OSError), _folder_of("/".join(parts[:length]), home) as folder:
                os.rmdir(parts[length - 1], dir_fd=folder)


def can_exchange(staging: int) -> bool:
    """Tried with two folders of its own: a file system may not know the call."""
    names = ("one", "other")
    for name in names:
        os.mkdir(name, 0o700, dir_fd=staging)
    try:
        return exchange((staging, names[0]), (staging, names[1]))
    finally:
        for name in names:
            os.rmdir(name, dir_fd=staging)


def _is_done(step: Step, home: int) -> bool:
    try:
        with _folder_of(step.destination, home) as folder:
            status = os.stat(_last(step.destination), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return status.st_ino == step.inode


def _last(path: str) -> str:
    return path.rpartition("/")[2]


@contextlib.contextmanager
def _folder_of(path: str, home: int, *, make: bool = False) -> Iterator[int]:
    """The folder that a path names something in, step by step and through no link: the agent may have put one."""
    descriptor = os.dup(home)
    try:
        for part in path.split("/")[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
