"""Walking through a data folder for databases. Runs in the child."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backups.archive.errors import ArchiveError
from backups.sqlite.child import Line
from backups.sqlite.places import FOLDER, open_database, open_parent

SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MOST_NOTES = 100

Row = dict[str, object]


def find(request: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    root = int(request["folder"])
    if request["chosen"]:
        return {"databases": [_chosen(root, each) for each in request["chosen"]], "notes": []}
    walk = _Walk(line=line, most_levels=int(request["most_levels"]), most_entries=int(request["most_entries"]))
    walk.folder(os.dup(root), "", 0)
    return {"databases": walk.found, "notes": walk.notes}


def _chosen(root: int, relative: str) -> Row:
    folder, name = open_parent(root, relative)
    try:
        return _database(folder, name, relative)
    finally:
        os.close(folder)


def _database(folder: int, name: str, relative: str) -> Row:
    descriptor, head = open_database(folder, name)
    try:
        return {"path": relative, "size": os.fstat(descriptor).st_size, "journal_mode": head.journal_mode}
    finally:
        os.close(descriptor)


@dataclass
class _Walk:
    line: Line
    most_levels: int
    most_entries: int
    found: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: int = 0

    def folder(self, descriptor: int, path: str, level: int) -> None:
        """Closes the descriptor. What vanishes or can't be opened meanwhile is noted."""
        try:
            names = sorted(os.listdir(descriptor))
            for name in names:
                if not self._counts():
                    return
                self._entry(descriptor, name, f"{path}{name}", level)
        except OSError as error:
            self._note(path or ".", error.strerror or str(error))
        finally:
            os.close(descriptor)

    def _counts(self) -> bool:
        self.entries += 1
        self.line.beat()
        if self.entries == self.most_entries + 1:
            self._note(
                "the folder", f"more than {self.most_entries:,} entries; what comes after them was not looked at"
            )
        return self.entries <= self.most_entries

    def _entry(self, parent: int, name: str, path: str, level: int) -> None:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                self._below(parent, name, path, level)
            elif name.endswith(SUFFIXES):
                self._candidate(parent, name, path, mode)
        except OSError as error:
            self._note(path, error.strerror or str(error))

    def _below(self, parent: int, name: str, path: str, level: int) -> None:
        if level >= self.most_levels:
            self._note(path, f"more than {self.most_levels} folders deep")
            return
        self.folder(os.open(name, FOLDER, dir_fd=parent), f"{path}/", level + 1)

    def _candidate(self, parent: int, name: str, path: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            self._note(path, "a link, which is not followed" if stat.S_ISLNK(mode) else "not a regular file")
            return
        try:
            self.found.append(_database(parent, name, path))
        except ArchiveError as error:
            self._note(path, str(error))

    def _note(self, path: str, reason: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(f"{path}: {reason}")
