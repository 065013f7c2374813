"""An agent's SQLite databases, copied while it works, into one archive (seed 002)."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypedDict

from backups.archive.fingerprint import Fingerprint
from backups.archive.heads import Head
from backups.archive.naming import stamp_text
from backups.archive.tarwriter import CHUNK, TarWriter
from backups.archiving import ArchivePayload, BackupExecutor, Planned, Task
from backups.databases import (
    DatabasesPayload,
    DataFolder,
    SourceDamagedError,
    data_folder,
    databases_of,
    good_backups,
    no_databases,
    no_databases_any_more,
    pages_known,
)
from backups.places import Place, place_for
from backups.retention.rules import Rules
from backups.scratch import scratch_folder
from backups.services.recording import Origin
from backups.services.states import SOURCE_PROBLEM
from backups.sqlite.checking import check_copy
from backups.sqlite.copying import copy_database
from backups.sqlite.errors import DatabaseMissingError
from backups.sqlite.finding import Database, Found
from schedules.engine.storable import storable_json
from schedules.executors.base import AgentView, RunContext

#: Seed 002 keeps thirty days.
_DAYS = 30
_MOST_PROBLEMS = 20


class DatabaseBackupPayload(DatabasesPayload, ArchivePayload):
    """Which databases (``DatabasesPayload``), and what becomes of their archive (``ArchivePayload``)."""

    def default_rules(self) -> Rules:
        return Rules() if self.to == "hot" else Rules(days=_DAYS)


class DatabaseBackup(BackupExecutor[DatabaseBackupPayload]):
    """Copies an agent's SQLite databases online, checks each copy, and archives them as seed 002 names them."""

    key: ClassVar[str] = "database.backup"
    title: ClassVar[str] = "Online backup of an agent's SQLite databases"
    payload_model = DatabaseBackupPayload

    def plan(self, payload: DatabaseBackupPayload, agent: AgentView | None, *, organisation: str) -> Planned:
        data = data_folder(payload, agent)
        payload.check(data.agent)
        place = place_for(payload.to, kind="database", organisation=organisation, agent=data.agent.slug)
        return lambda context: _task(data, place, payload, context)


def _task(data: DataFolder, place: Place, payload: DatabaseBackupPayload, context: RunContext) -> Task:
    def pack(writer: TarWriter) -> str:
        return _pack(data, writer, context)

    def fingerprint() -> str:
        with data.opened() as root:
            return _fingerprint(root, databases_of(data, root, check=context.check))

    return Task(
        agent=data.agent,
        origin=Origin(
            organisation_id=context.organisation_id,
            agent_id=data.agent.id,
            agent=data.agent.slug,
            kind="database",
            source=str(data.folder),
            schedule=context.schedule,
            job_run_id=context.job_run_id,
        ),
        place=place,
        payload=payload,
        pack=pack,
        fingerprint=fingerprint,
        said="Backup completed: {place}{name}",
    )


def _pack(data: DataFolder, writer: TarWriter, context: RunContext) -> str:
    """Copy, check and archive one database after the other, so that only the largest needs room."""
    with data.opened() as root, scratch_folder() as scratch:
        found = databases_of(data, root, check=context.check)
        _require(data, root, found, context)
        for note in found.notes:
            writer.packed.note(note, skipped=True)
        before = _fingerprint(root, found)
        added = _add_all(root, found, scratch / "copy", writer, context, is_chosen=bool(data.chosen))
        # Names are an agent's: one that no database of ours can store must not keep the archive from being recorded.
        extra = {"databases": list(added.values()), "lost": _lost(data, root, tuple(added), context)}
        writer.packed.extra |= storable_json(extra | {SOURCE_PROBLEM: _problem(extra)})
        return before if before == _fingerprint(root, found) else ""


def _require(data: DataFolder, root: int, found: Found, context: RunContext) -> None:
    """There is no archive of nothing."""
    if found.databases:
        return
    if lost := _lost(data, root, (), context):
        raise SourceDamagedError(f"No archive was made: {_problem({'databases': [], 'lost': lost})}")
    raise no_databases(data, found)


def _add_all(
    root: int, found: Found, copy: Path, writer: TarWriter, context: RunContext, *, is_chosen: bool
) -> dict[Database, dict[str, Any]]:
    """What the manifest tells of each. One that nobody named may vanish meanwhile, as an agent's scratch files do."""
    added: dict[Database, dict[str, Any]] = {}
    folders: set[str] = set()
    for database in found.databases:
        try:
            _add_folders(root, database.path, folders, writer)
            added[database] = _add(root, database, copy, writer, context)
        except DatabaseMissingError:
            if is_chosen or len(found.databases) == 1:
                raise
            writer.packed.note(f"{database.path}: vanished before it was copied", skipped=True)
    return added


def _add_folders(root: int, path: str, known: set[str], writer: TarWriter) -> None:
    """Those on the way to a database, for their owners and modes."""
    parts = path.split("/")[:-1]
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[:length])
        if name not in known:
            known.add(name)
            status = os.stat(name, dir_fd=root, follow_symlinks=False)
            writer.add(Head(name=name, kind="folder", **_metadata(status)))


class _Metadata(TypedDict):
    mode: int
    uid: int
    gid: int
    mtime: int


def _metadata(status: os.stat_result) -> _Metadata:
    mode, mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    return _Metadata(mode=mode, uid=status.st_uid, gid=status.st_gid, mtime=mtime)


def _lost(data: DataFolder, root: int, added: tuple[Database, ...], context: RunContext) -> dict[str, str]:
    good = good_backups(organisation_id=context.organisation_id, agent=data.agent.slug, folder=data.folder)
    return no_databases_any_more(data, root, added, pages_known(good))


def _add(root: int, database: Database, copy: Path, writer: TarWriter, context: RunContext) -> dict[str, Any]:
    """One entry, with the modes and the owner of the database itself. Answers what the manifest tells of it."""
    status = _status(root, database.path)
    copied = copy_database(root, database.path, copy, check=context.check)
    checked = check_copy(copy, check=context.check)
    held = f"its writer waited {copied.held:.1f} s" if copied.way == "locked" else copied.way.replace("_", " ")
    context.log(f"{database.path}: {copied.size:,} bytes in {copied.seconds:.1f} s, {held}\n")
    head = Head(
        name=archived_name(database.path, stamp_text(writer.about.name)),
        kind="file",
        size=copied.size,
        **_metadata(status),
    )
    with copy.open("rb") as file:
        writer.add(head, iter(lambda: file.read(CHUNK), b""))
    copy.unlink()
    return {
        "path": database.path,
        "name": head.name,
        "journal_mode": copied.journal_mode,
        "pages": copied.pages,
        "sha256": copied.sha256,
        "problems": list(checked.problems[:_MOST_PROBLEMS]),
    }


def _status(root: int, path: str) -> os.stat_result:
    try:
        return os.stat(path, dir_fd=root, follow_symlinks=False)
    except OSError as error:
        raise DatabaseMissingError(f"{path} vanished before it was copied. Try again.") from error


def archived_name(path: str, stamp: str) -> str:
    """``agentx.db`` as seed 002 names it in an archive: ``agentx-20250115_020000.db``."""
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    stamped = f"{stem}-{stamp}.{suffix}" if dot else f"{name}-{stamp}"
    return f"{folder}/{stamped}" if folder else stamped


def _problem(extra: Mapping[str, Any]) -> str:
    damaged = [f"{each['path']}: {each['problems'][0]}" for each in extra["databases"] if each["problems"]]
    damaged += [f"{path}: {problem}" for path, problem in extra["lost"].items()]
    if not damaged:
        return ""
    return (
        f"the database itself is damaged ({'; '.join(damaged)}). Restore it from the last good backup, or see what "
        "can be recovered: `manage.py backup report` names the backup, docs/backups.md the way."
    )


def _fingerprint(root: int, found: Found) -> str:
    """Of the files of each database that hold data; the shared memory beside them does not."""
    fingerprint = Fingerprint()
    for database in found.databases:
        for name in (database.path, f"{database.path}-wal", f"{database.path}-journal"):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=root, follow_symlinks=False)
                fingerprint.add(name, status if name == database.path else _without_our_trace(status))
    return fingerprint.value


def _without_our_trace(status: os.stat_result) -> os.stat_result:
    """SQLite as root gives each journal that it opens, to read as well, to the database's owner, who has it already:
    that changes its ctime, so that a copy would make the next one seem needed. Writing changes its mtime, too."""
    times = {"st_mtime_ns": status.st_mtime_ns, "st_ctime_ns": status.st_mtime_ns}
    return os.stat_result(tuple(status)[:10], times)
