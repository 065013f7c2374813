"""One database of an agent: looked at, shrunk where that pays, and told in a line."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.services.trends import Growth
from backups.sqlite.errors import DatabaseDamagedError, NotADatabaseError
from backups.sqlite.isolated import Check
from backups.sqlite.maintenance import Maintained, Vacuumed, maintain_database, vacuum_database
from backups.sqlite.statistics import KeyStatistics, Statistics, TableStatistics

#: Kept in a run's result; an agent may make as many as it likes.
_MOST = 50
_MOST_PROBLEMS, _MOST_TOLD, _MOST_KINDS = 20, 2, 4
#: For :func:`maintain_database`: no share of free pages is that large, so that it only looks.
_NEVER = math.inf


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found and done. ``size_before`` and ``size`` in bytes; ``failed``: why it could not be looked at.

    ``unshrunk``: why a VACUUM that was worth it was not done.
    """

    path: str
    size_before: int = 0
    size: int = 0
    pages: int = 0
    statistics: Statistics | None = None
    problems: tuple[str, ...] = ()
    orphans: int = 0
    vacuumed: Vacuumed | None = None
    unshrunk: ArchiveError | None = None
    failed: ArchiveError | None = None
    seconds: float = 0.0

    @property
    def free_pages(self) -> int:
        return self.statistics.free_pages if self.statistics else 0

    def details(self) -> dict[str, Any]:
        """For the run's result: sizes in bytes, ``free_pages`` as they were found."""
        tables = sorted(self.statistics.tables if self.statistics else (), key=_bytes_of, reverse=True)
        keys = sorted(self.statistics.keys if self.statistics else (), key=lambda each: each.size, reverse=True)
        return {
            "path": self.path,
            "size_before": self.size_before,
            "size": self.size,
            "pages": self.pages,
            "free_pages": self.free_pages,
            "tables": [{"name": each.name, "rows": each.rows, "bytes": each.size} for each in tables[:_MOST]],
            "keys": [
                {"table": each.table, "kind": each.kind, "rows": each.rows, "bytes": each.size} for each in keys[:_MOST]
            ],
            "problems": list(self.problems[:_MOST_PROBLEMS]),
            "foreign_key_violations": self.orphans,
            "vacuumed": self.vacuumed is not None,
            "not_vacuumed": str(self.unshrunk or ""),
            "seconds": round(self.seconds, 3),
        }


def look_at(root: int, path: str, scratch: Path, *, check: Check) -> Look:
    """Check and count a copy. Never raises an ``ArchiveError``: one database must not keep the others from care."""
    begun = time.monotonic()
    try:
        found = maintain_database(root, path, scratch, least_gain=_NEVER, check=check)
    except (DatabaseDamagedError, NotADatabaseError) as error:
        return Look(path=path, problems=(str(error),), seconds=time.monotonic() - begun)
    except ArchiveError as error:
        return Look(path=path, failed=error, seconds=time.monotonic() - begun)
    return _looked(path, found, time.monotonic() - begun)


def _looked(path: str, found: Maintained, seconds: float) -> Look:
    return Look(
        path=path,
        size_before=found.copied.size,
        size=found.copied.size,
        pages=found.copied.pages,
        statistics=found.statistics,
        problems=found.checked.problems,
        orphans=found.checked.foreign_key_violations,
        seconds=seconds,
    )


def shrink(root: int, look: Look, *, most_seconds: float, check: Check) -> Look:
    """VACUUM in place. What can't be done now is told in ``unshrunk``; the database is then as it was."""
    begun = time.monotonic()
    try:
        vacuumed = vacuum_database(root, look.path, most_seconds=most_seconds, check=check)
    except ArchiveError as error:
        return replace(look, unshrunk=error, seconds=look.seconds + time.monotonic() - begun)
    return replace(
        look,
        size=vacuumed.after,
        pages=round(look.pages * vacuumed.after / look.size_before) if look.size_before else 0,
        vacuumed=vacuumed,
        seconds=look.seconds + time.monotonic() - begun,
    )


def line_of(look: Look, growth: Growth | None) -> str:
    """``agentx.db: sound, 8.0 MiB → 5.1 MiB (vacuumed in 0.3 s), 9 rows in 1 table (idx 4, images 1); …``"""
    if look.failed is not None:
        return f"{look.path}: NOT CHECKED: {look.failed}"
    if look.problems:
        more = f" (and {len(look.problems) - _MOST_TOLD} more)" if len(look.problems) > _MOST_TOLD else ""
        return f"{look.path}: DAMAGED, left as it is: {'; '.join(look.problems[:_MOST_TOLD])}{more}"
    parts = [f"sound, {_size(look)}", _content(look.statistics)]
    if look.orphans:
        parts.append(f"{look.orphans:,} rows without the row that they refer to")
    told = f"{look.path}: {', '.join(part for part in parts if part)}"
    if growth is not None and (per_day := growth.bytes_per_day):
        sign = "-" if per_day < 0 else ""
        told += f"; {growth.sentence('it')} ({sign}{human_size(abs(per_day))} a day)"
    return f"{told}. Not vacuumed: {look.unshrunk}" if look.unshrunk is not None else told


def _size(look: Look) -> str:
    if look.vacuumed is not None:
        later = "" if look.vacuumed.checkpointed else "; the file shrinks once the agent's readers are through"
        took = f"vacuumed in {look.vacuumed.seconds:.1f} s{later}"
        return f"{human_size(look.size_before)} → {human_size(look.size)} ({took})"
    free = f", {look.free_pages / look.pages:.0%} of it free" if look.pages and look.free_pages else ""
    return f"{human_size(look.size)}{free}"


def _content(statistics: Statistics | None) -> str:
    if statistics is None:
        return ""
    rows = sum(each.rows or 0 for each in statistics.tables)
    at_least = "at least " if statistics.more or any(each.rows is None for each in statistics.tables) else ""
    text = f"{at_least}{_count(rows, 'row')} in {_count(len(statistics.tables), 'table')}"
    return f"{text} ({_kinds(statistics.keys)})" if statistics.keys else text


def _kinds(keys: Sequence[KeyStatistics]) -> str:
    """How many keys of each kind, as seed 002 asks: ``containers 3, images 1``."""
    most = sorted(keys, key=lambda each: each.rows, reverse=True)
    told = [f"{each.kind or 'without a kind'} {each.rows:,}" for each in most[:_MOST_KINDS]]
    return ", ".join([*told, "…"] if len(most) > _MOST_KINDS else told)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _bytes_of(table: TableStatistics) -> int:
    return table.size or 0


def way_out(path: Path, last_good: Backup | None) -> str:
    """What to do about a damaged database."""
    recovered = f"{path}.recovered"  # not named as a database: a backup would take it for one of the agent's
    recover = f"`manage.py backup recover --file {shlex.quote(str(path))} --to {shlex.quote(recovered)}`"
    if last_good is None:
        return f"Nothing was changed. No verified backup has it: stop the agent, and recover what is left: {recover}."
    return (
        f"Nothing was changed. Stop the agent and restore {last_good.name}, the newest verified backup that has it "
        f"(its state of {last_good.began_at:%Y-%m-%d %H:%M} UTC; docs/backups.md has the steps). What was written "
        f"after it may be recovered from the damaged file: {recover}."
    )
