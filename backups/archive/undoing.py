"""Taking a restore back later: the former tree, or what there was of it, returns to its place, wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from backups.archive import journal as journals
from backups.archive.errors import RestoreBrokenError, RestoreBusyError, store_error
from backups.archive.home import home_of, inode_of, open_home, opened
from backups.archive.journal import COMPANIONS, KEPT, STAGING, Journal, Step
from backups.archive.recovery import recover

_GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a restore did to its target. ``kept``: where the former tree is, None where nothing was there before.

    ``brought`` and ``retired``: paths below the target that it put there, and that it moved to ``kept``; both are empty
    when all of the target was exchanged. ``carried``: paths that went over from the former tree into the new one.
    """

    kept: Path | None
    brought: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not (self.brought or self.retired)


class PuttingBack:
    """What a restore brought goes for good, what it retired is in its place again: ``move``, then ``tidy``.

    Alone with the target from ``with`` on. A crash is settled by whoever works there next: before ``move`` is through
    nothing has happened, afterwards all of it. ``beneath``: as :func:`open_home` has it. Raises ``RestoreBusyError``,
    ``RestoreBrokenError``, or the family's error for what the disk says.
    """

    def __init__(self, target: Path, placed: Placed, *, beneath: Path | None = None, owner: str = "") -> None:
        if not all(map(journals.is_below, (*placed.brought, *placed.retired, *placed.carried))):
            raise RestoreBrokenError(f"The record of the restore to {target} names paths that no archive can hold.")
        self._target, self._placed, self._beneath = target.resolve(), placed, beneath
        #: Empty where nothing was there before.
        self._kept = placed.kept.name if placed.kept else ""
        self._home_path = home_of(self._target)
        self._name = f"{STAGING}{secrets.token_hex(8)}"
        self._journal = Journal(
            target=str(self._target), staging=self._name, owner=owner, is_undo=True, undoes=str(placed.kept or "")
        )
        self._open = contextlib.ExitStack()
        self._home = self._staging = -1
        #: Something was moved and is not taken back.
        self.stands = False

    @property
    def is_gone(self) -> bool:
        """There is no former tree any more: it was put back by one who died before he could say so."""
        return bool(self._kept) and not os.path.lexists(self._home_path / self._kept)

    def move(self) -> None:
        with self._failures():
            self._journal.steps = self._steps()
            self._journal.phase = "moving"
            self._journal.save(self._staging)
            self.stands = True
            try:
                for step in self._journal.steps:
                    journals.take(step, self._home)
                self._journal.through(self._staging)
            except BaseException:
                self._take_back()
                raise

    def _take_back(self) -> None:
        """Where that fails the staging stays, with all that is in it, for whoever works here next."""
        self._journal.taken_up_again(self._staging)
        for step in reversed(self._journal.steps):
            journals.undo(step, self._home, tidies=False)
        self.stands = False

    def tidy(self) -> None:
        """What was restored is removed, with what is left of where the former tree was kept."""
        self.stands = False
        if self._kept:
            shutil.rmtree(self._kept, ignore_errors=True, dir_fd=self._home)

    # -- the plan of moves

    def _steps(self) -> list[Step]:
        if not self._placed.is_whole:
            steps = self._paths()
        elif self._home_path == self._target:
            steps = self._entries()
        else:
            steps = self._tree()
        return [*self._carried(), *steps]

    def _tree(self) -> list[Step]:
        target, gone = self._target.name, f"{self._name}/{_GONE}"
        if not self._kept:
            # The folder itself stays: it may be what a container was given.
            return self._away(os.listdir(self._target)) if self._target.is_dir() else []  # noqa: PTH208 - names only
        former = inode_of(self._kept, self._home)
        if not os.path.lexists(self._target):
            return [Step(source=self._kept, destination=target, inode=former)]
        present = inode_of(target, self._home)
        if journals.can_exchange(self._staging):
            return [
                Step(source=self._kept, destination=target, inode=former, exchange=True),
                Step(source=self._kept, destination=gone, inode=present),
            ]
        return [
            Step(source=target, destination=gone, inode=present),
            Step(source=self._kept, destination=target, inode=former),
        ]

    def _entries(self) -> list[Step]:
        """Of a mounted volume: all that is there now goes, but for what no archive of it holds."""
        former: list[str] = []
        if self._kept:
            with opened(self._kept, self._home) as kept:
                former = os.listdir(kept)  # noqa: PTH208 - of a descriptor
        present = [
            name
            for name in os.listdir(self._home)  # noqa: PTH208
            if not name.startswith((STAGING, KEPT)) and name not in self._placed.carried
        ]
        return [*self._away(present), *self._back(former)]

    def _paths(self) -> list[Step]:
        brought = (path + companion for path in self._placed.brought for companion in ("", *COMPANIONS))
        # What the agent made anew where something was retired is in the way, too.
        return [*self._away(dict.fromkeys([*brought, *self._placed.retired])), *self._back(self._placed.retired)]

    def _carried(self) -> list[Step]:
        """Back into the former tree, before that returns. What lies at the top of a mounted volume never went away."""
        if not self._kept:
            return []
        paths = [path for path in self._placed.carried if "/" in path or self._home_path != self._target]
        return self._moves(paths, self._prefix, f"{self._kept}/")

    def _away(self, paths: Iterable[str]) -> list[Step]:
        return self._moves(paths, self._prefix, f"{self._name}/{_GONE}/")

    def _back(self, paths: Iterable[str]) -> list[Step]:
        return self._moves(paths, f"{self._kept}/", self._prefix)

    def _moves(self, paths: Iterable[str], source: str, destination: str) -> list[Step]:
        """Of those that are there."""
        steps = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                inode = inode_of(f"{source}{path}", self._home)
                steps.append(Step(source=f"{source}{path}", destination=f"{destination}{path}", inode=inode))
        return steps

    @property
    def _prefix(self) -> str:
        return "" if self._home_path == self._target else f"{self._target.name}/"

    # -- begin and end

    def __enter__(self) -> Self:
        try:
            with self._failures():
                self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _begin(self) -> None:
        self._home = open_home(self._home_path, self._target, self._beneath)
        self._open.callback(os.close, self._home)
        os.mkdir(self._name, 0o700, dir_fd=self._home)
        self._staging = self._open.enter_context(opened(self._name, self._home))
        if not journals.try_lock(self._staging):
            raise RestoreBusyError(f"{self._target} is just being restored by another process. Wait until it is done.")
        self._journal.save(self._staging)
        recover(self._target, but=self._name, beneath=self._beneath, owner=self._journal.owner)

    def _end(self) -> None:
        with self._open:
            if self._staging >= 0 and not self.stands:
                journals.forget(self._staging)
                shutil.rmtree(self._name, ignore_errors=True, dir_fd=self._home)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise store_error(error, str(self._target)) from error
