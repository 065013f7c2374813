"""Restoring an archive: written beside and verified, put in place at once. On any failure the old stands."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from backups.archive import journal as journals
from backups.archive.errors import (
    ArchiveDamagedError,
    DiskFullError,
    PathsMissingError,
    PlaceRefusedError,
    RestoreBusyError,
    TargetNotEmptyError,
    store_error,
)
from backups.archive.extract import LinkSourcesMissing, Wanted, extract
from backups.archive.home import home_of, inode_of, mounted_volumes, open_home, opened
from backups.archive.journal import COMPANIONS, KEPT, STAGING, Journal, Step
from backups.archive.naming import TOP
from backups.archive.reading import Found, Reading
from backups.archive.recovery import recover
from backups.archive.rules import Limits
from backups.archive.stores import Hooks, Readable, Source
from backups.archive.undoing import Placed

_NEW = "new"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to restore where. ``force``: what is there is exchanged, and kept beside.

    ``top``: the archive's folder that becomes the target. ``size``: bytes that the tree will take, when known.
    ``sha256``: what the archive has to be, when known; else what lies beside it says so. ``decrypted``: as ``Reading``
    has it. ``keep``: paths below the target that no archive of it holds: they stay, in the new tree. ``beneath``: the
    folder that the target must lie in, whatever links somebody has put on the way. ``owner``: as ``Journal`` has it.
    """

    target: Path
    top: str = TOP
    force: bool = False
    wanted: Wanted = field(default_factory=Wanted)
    limits: Limits = field(default_factory=Limits)
    size: int = 0
    sha256: str = ""
    decrypted: Callable[[Readable], Readable] | None = None
    keep: tuple[str, ...] = ()
    beneath: Path | None = None
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """``verified``: a checksum was there and agreed. ``kept``: where the former tree is, if there was one."""

    entries: int
    size: int
    sha256: str
    verified: bool
    kept: Path | None


def restore(store: Source, name: str, order: Order, hooks: Hooks | None = None) -> Restored:
    """Make the target the archive's tree, or put the chosen paths into it."""
    hooks = hooks or Hooks()
    with Restoration(store, name, order, hooks) as work:
        found, verified = work.stage()
        hooks.before_publish()
        placed = work.place()
        work.finish()
    entries, size = order.wanted.written
    return Restored(entries=entries, size=size, sha256=found.sha256, verified=verified, kept=placed.kept)


class Restoration:
    """The steps of one restore: ``stage``, ``place``, then ``finish``, or ``undo`` when what was placed is no good.

    Leaving the ``with`` block before ``finish`` undoes everything.
    """

    def __init__(self, store: Source, name: str, order: Order, hooks: Hooks) -> None:
        self._store, self._name, self._order, self._hooks = store, name, order, hooks
        self.target = order.target.resolve()
        self._home_path = home_of(self.target)
        self._inside = self._home_path == self.target
        self._kept_suffix = ""
        self._brought: list[str] = []
        self._retired: list[str] = []
        self._carried: list[str] = []
        self._keeps_journal = False
        #: The name of the folder that it works in.
        self.staging = f"{STAGING}{secrets.token_hex(8)}"
        self._journal = Journal(target=str(self.target), staging=self.staging, archive=name, owner=order.owner)
        self._open: contextlib.ExitStack = contextlib.ExitStack()
        self._home = self._staged = -1

    @property
    def staged(self) -> Path:
        """What ``stage`` has written."""
        return self._home_path / self.staging / _NEW

    # -- the steps

    def stage(self) -> tuple[Found, bool]:
        """Write the tree beside the target and verify it. The second answer: whether a checksum agreed."""
        with self._failures():
            self._require_room()
            self._require_no_volume()
            self._make_staging()
            self._require_space()
            found, verified = self._extract_all()
            with opened(_NEW, self._staged) as root:
                # The exchange must not become durable before the files: a power cut would leave empty ones.
                ctypes.CDLL(None).syncfs(root)
        return found, verified

    def place(self) -> Placed:
        """Put the tree in place."""
        with self._failures():
            self._plan()
            self._journal.phase = "moving"
            self._journal.placed = {"brought": self._brought, "retired": self._retired, "carried": self._carried}
            self._journal.save(self._staged)
            for step in self._journal.steps:
                journals.take(step, self._home)
            self._journal.through(self._staged)
        kept = Path(self._journal.kept) if self._journal.kept else None
        brought, retired, carried = map(tuple, (self._brought, self._retired, self._carried))
        return Placed(kept=kept, brought=brought, retired=retired, carried=carried)

    def undo(self) -> None:
        """Bring the former tree back."""
        if not self._journal.steps:
            return
        with self._failures():
            self._journal.taken_up_again(self._staged)
            for step in reversed(self._journal.steps):
                journals.undo(step, self._home)
        self._journal.steps = []

    def finish(self) -> None:
        """What was placed stays."""
        self._journal.steps = []

    def leave_journal(self) -> None:
        """To be called after ``finish``: whoever looks next is told what was placed."""
        self._keeps_journal = True

    # -- before

    def _require_room(self) -> None:
        if self._former() and not self._order.force:
            raise TargetNotEmptyError(
                f"{self.target} is not empty, so nothing was restored. Name another folder, or ask for the exchange "
                "explicitly (--force): what is there now is then kept beside it.",
            )

    def _require_no_volume(self) -> None:
        """It would move along with the tree that it is mounted in."""
        if self._order.wanted.paths or not self._order.wanted.whole:
            return
        if below := [path for path in mounted_volumes() if self.target in path.parents]:
            raise PlaceRefusedError(
                f"A volume is mounted at {below[0]}, in what is to be exchanged, and would move along with it. Restore "
                "chosen paths, or restore beside, or unmount it first.",
            )

    def _require_space(self) -> None:
        free = shutil.disk_usage(self._home_path).free
        if self._order.size > free:
            raise DiskFullError(
                f"The archive needs {self._order.size:,} bytes and the disk of {self._home_path} has {free:,}. Nothing "
                "was written: free some space, or restore to another disk.",
            )

    def _make_staging(self) -> None:
        self._home_path.mkdir(parents=True, exist_ok=True)
        self._home = open_home(self._home_path, self.target, self._order.beneath)
        self._open.callback(os.close, self._home)
        os.mkdir(self.staging, 0o700, dir_fd=self._home)
        self._staged = self._open.enter_context(opened(self.staging, self._home))
        if not journals.try_lock(self._staged):
            raise RestoreBusyError(f"{self.target} is just being restored by another process. Wait until it is done.")
        self._journal.save(self._staged)
        recover(self.target, but=self.staging, beneath=self._order.beneath, owner=self._order.owner)
        os.mkdir(_NEW, 0o700, dir_fd=self._staged)

    def _extract_all(self) -> tuple[Found, bool]:
        try:
            with opened(_NEW, self._staged) as root:
                return self._extract(root)
        except LinkSourcesMissing:
            shutil.rmtree(_NEW, dir_fd=self._staged)
            os.mkdir(_NEW, 0o700, dir_fd=self._staged)
            with opened(_NEW, self._staged) as root:
                return self._extract(root)

    def _extract(self, root: int) -> tuple[Found, bool]:
        order = self._order
        expected = order.sha256 or self._store.checksum(self._name)
        with (
            contextlib.closing(self._store.reader(self._name)) as stream,
            Reading(
                stream, top=order.top, limits=order.limits, hooks=self._hooks, decrypted=order.decrypted
            ) as reading,
        ):
            extract(reading, root, order.wanted)
            found = reading.found()
        if expected is not None and found.sha256 != expected:
            raise ArchiveDamagedError(
                f"The archive {self._name} is not what was stored: its SHA-256 is {found.sha256}, it should be "
                f"{expected}. Nothing was restored: take another one.",
            )
        self._require_chosen()
        return found, expected is not None

    def _require_chosen(self) -> None:
        if not self._order.wanted.whole and not self._order.wanted.found:
            raise PathsMissingError(
                f"The archive {self._name} holds nothing that belongs here. Nothing was restored: `tar tzf` lists "
                "what it holds.",
            )
        missing = [path for path in self._order.wanted.paths if path not in self._order.wanted.found]
        if missing:
            raise PathsMissingError(
                f"The archive {self._name} holds no {', '.join('/'.join(path) for path in missing)}. Nothing was "
                "restored: `manage.py backup show --files`, or `tar tzf`, lists what it holds.",
            )

    # -- the plan of moves

    def _plan(self) -> None:
        self._kept_suffix = self._free_suffix()
        if self._order.wanted.paths or not self._order.wanted.whole:
            self._plan_chosen()
        elif self._inside:
            self._plan_entries()
        else:
            self._plan_tree()

    def _free_suffix(self) -> str:
        """Of the name that the former tree gets, which a restore in the same second may have taken."""
        stamp = f"{KEPT}{datetime.now(UTC):%Y%m%d_%H%M%S}"
        name = "" if self._inside else self.target.name
        taken = set(os.listdir(self._home))  # noqa: PTH208 - of a descriptor
        return next(suffix for number in count(1) if f"{name}{(suffix := _numbered(stamp, number))}" not in taken)

    def _former(self) -> list[str]:
        """What the target holds."""
        there = [path.name for path in self.target.iterdir()] if self.target.exists() else []
        return [name for name in there if not (self._inside and name.startswith((STAGING, KEPT)))]

    def _plan_tree(self) -> None:
        """One exchange, then the former tree gets its name; where the system can't exchange, two renames."""
        staged, name = f"{self.staging}/{_NEW}", self.target.name
        if not self.target.exists():
            self._bring(staged, name)
            return
        former, away = inode_of(name, self._home), f"{self.staging}/former"
        if self._former():
            away = f"{name}{self._kept_suffix}"
            self._journal.kept = str(self._home_path / away)
        if journals.can_exchange(self._staged):
            self._bring(staged, name, exchange=True)
            self._journal.steps.append(Step(source=staged, destination=away, inode=former))
        else:
            self._journal.steps.append(Step(source=name, destination=away, inode=former))
            self._bring(staged, name)
        self._carry_over(f"{self.target.name}/", away)

    def _carry_over(self, prefix: str, away: str) -> None:
        """What the archive does not hold on purpose, above all the archives that lie in here, is not retired."""
        for path in self._outer_keeps():
            if os.path.lexists(self.target / path):
                step = Step(
                    source=f"{away}/{path}",
                    destination=f"{prefix}{path}",
                    inode=inode_of(f"{prefix}{path}", self._home),
                )
                self._journal.steps.append(step)
                self._carried.append(path)

    def _outer_keeps(self) -> list[str]:
        """What lies in another one of them goes over with that."""
        keep = self._order.keep
        return [path for path in keep if not any(path.startswith(f"{other}/") for other in keep)]

    def _plan_entries(self) -> None:
        kept = self._kept_suffix
        for name in self._former():
            if name in self._order.keep:
                self._carried.append(name)
                continue
            self._bring(name, f"{kept}/{name}")
            self._journal.kept = str(self.target / kept)
        with opened(_NEW, self._staged) as root:
            for name in os.listdir(root):  # noqa: PTH208 - of a descriptor
                self._bring(f"{self.staging}/{_NEW}/{name}", name)
        deeper = [path for path in self._order.keep if "/" in path]
        self._order = replace(self._order, keep=tuple(deeper))
        self._carry_over("", kept)

    def _plan_chosen(self) -> None:
        """Each path on its own; what was there goes to where the former tree would be."""
        for path in dict.fromkeys(self._outermost(path) for path in sorted(self._order.wanted.found)):
            for former in (path, *(path + companion for companion in COMPANIONS)):
                if os.path.lexists(self.target / former):
                    self._retire(former)
            self._bring(f"{self.staging}/{_NEW}/{path}", self._in_home(path))
            self._brought.append(path)

    def _outermost(self, path: tuple[str, ...]) -> str:
        """The path, or the first folder on the way to it that is missing: that comes as a whole then."""
        ways = ("/".join(path[:length]) for length in range(1, len(path)))
        return next((way for way in ways if not os.path.lexists(self.target / way)), "/".join(path))

    def _retire(self, former: str) -> None:
        kept = f"{'' if self._inside else self.target.name}{self._kept_suffix}"
        self._bring(self._in_home(former), f"{kept}/{former}")
        self._journal.kept = str(self._home_path / kept)
        self._retired.append(former)

    def _in_home(self, path: str) -> str:
        return path if self._inside else f"{self.target.name}/{path}"

    def _bring(self, source: str, destination: str, *, exchange: bool = False) -> None:
        step = Step(source=source, destination=destination, inode=inode_of(source, self._home), exchange=exchange)
        self._journal.steps.append(step)

    # -- the end

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise store_error(error, str(self.target)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if self._staged >= 0:
                self.undo()
                if not self._keeps_journal:
                    journals.forget(self._staged)
                    shutil.rmtree(self.staging, ignore_errors=True, dir_fd=self._home)


def _numbered(stamp: str, number: int) -> str:
    return stamp if number == 1 else f"{stamp}_{number}"
