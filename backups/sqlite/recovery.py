"""What is left of a damaged database, as a new one that is sound."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backups.sqlite import isolated
from backups.sqlite.checking import check_copy
from backups.sqlite.copying import new_file
from backups.sqlite.errors import RecoveryFailedError
from backups.sqlite.isolated import Check, nothing
from backups.sqlite.places import open_parent
from backups.sqlite.recoverprogram import recovering_program


@dataclass(frozen=True, kw_only=True)
class RecoveredTable:
    """``rows`` are in the new file. ``lost`` are ranges of rowids, both ends included, in which rows *may* have been:
    how many is unknown. ``refused`` rows were read, but break a rule of their table. ``incomplete``: a table without
    rowids, or one that SQLite can't read, of which something is missing."""

    name: str
    rows: int
    refused: int
    lost: tuple[tuple[int, int], ...]
    incomplete: bool

    @property
    def whole(self) -> bool:
        return not (self.lost or self.refused or self.incomplete)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """``notes``: what of the schema is missing in the new file, and why."""

    tables: tuple[RecoveredTable, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.notes and all(table.whole for table in self.tables)


def recover_database(damaged: Path, target: Path, *, check: Check = nothing) -> Recovered:
    """Read what can be read of ``damaged`` into the new file ``target``: mode 0600, synced, passing integrity_check.

    ``damaged`` is one file that nobody else has open (a copy, or a stopped agent's), and is never written to; what
    waits in a ``-wal`` beside it is not seen, so copy it first. A row is taken when every page that leads to it is what
    it should be; a page whose damage SQLite can't see may still hold changed rows, so compare with a backup.
    Whatever is raised, no target is left: ``RecoveryFailedError`` when nothing can be read, and those of reaching it.
    """
    folder, name = open_parent(damaged.parent, damaged.name)
    try:
        with new_file(target) as descriptor:
            answer = _recovered({"folder": folder, "name": name, "target": str(target.absolute())}, check)
            _must_be_sound(target, name, check)
            os.fsync(descriptor)
    finally:
        os.close(folder)
    tables = (
        RecoveredTable(**{**each, "lost": tuple((low, high) for low, high in each["lost"])})
        for each in answer["tables"]
    )
    return Recovered(tables=tuple(tables), notes=tuple(answer["notes"]))


def _recovered(request: dict[str, object], check: Check) -> isolated.Answer:
    """Row by row; by a program, where there is one, when there is no list of tables to go by."""
    folders = (int(str(request["folder"])),)
    try:
        return isolated.run("recover", request, folders=folders, check=check)
    except RecoveryFailedError:
        program = recovering_program()
        if program is None:
            raise
    os.truncate(str(request["target"]), 0)
    return isolated.run("recover_by_program", {**request, "program": program}, folders=folders, check=check)


def _must_be_sound(target: Path, name: str, check: Check) -> None:
    checked = check_copy(target, level="integrity", check=check)
    if not checked.ok:
        raise RecoveryFailedError(
            f"What was recovered of {name} does not pass SQLite's integrity check ({checked.problems[0]}), so it was "
            "thrown away. Restore the newest verified backup.",
        )
