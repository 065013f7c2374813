"""An agent's SQLite databases, copied while it works, into one archive (seed 002)."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from backups import archiving
from backups.archive.errors import ArchiveError, PlaceRefusedError, SourceMissingError
from backups.archive.fingerprint import Fingerprint
from backups.archive.folder import open_folder
from backups.archive.heads import Head
from backups.archive.naming import stamp_text
from backups.archive.tarwriter import CHUNK, TarWriter
from backups.archiving import ArchivePayload, Task
from backups.encryption import recipient_of
from backups.places import Place, place_for
from backups.retention.rules import Rules
from backups.scratch import scratch_folder
from backups.services.recording import Origin
from backups.sqlite.checking import check_copy
from backups.sqlite.copying import copy_database
from backups.sqlite.finding import Database, Found, find_databases
from schedules.executors.base import AgentView, Executor, ExecutorError, Result, RunContext

#: Seed 002 keeps thirty days.
_DAYS = 30
_MOST_PROBLEMS = 20


class DatabaseBackupPayload(ArchivePayload):
    """``source``: the folder with the databases; the agent's state folder, or its ``data`` folder where it has one.

    ``databases``: paths below it; all that it holds, unless given.
    """

    source: str | None = Field(default=None, min_length=1)
    databases: tuple[str, ...] = ()

    def default_rules(self) -> Rules:
        return Rules() if self.to == "hot" else Rules(days=_DAYS)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    agent: AgentView
    folder: Path
    root: Path
    place: Place


class DatabaseBackup(Executor[DatabaseBackupPayload]):
    """Copies an agent's SQLite databases online, checks each copy, and archives them as seed 002 names them."""

    key: ClassVar[str] = "database.backup"
    title: ClassVar[str] = "Online backup of an agent's SQLite databases"
    queue: ClassVar[str] = "backups"
    default_retries: ClassVar[int] = 5
    needs_agent: ClassVar[bool] = True
    payload_model = DatabaseBackupPayload

    def check_payload(self, payload: DatabaseBackupPayload, *, agent: AgentView | None) -> None:
        try:
            _plan(payload, agent, organisation="")
        except ArchiveError as error:
            raise ValueError(str(error)) from error

    def execute(self, payload: DatabaseBackupPayload, context: RunContext) -> Result:
        try:
            plan = _plan(payload, context.agent, organisation=context.organisation)
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        except ValueError as error:
            raise ExecutorError("invalid_payload", str(error), retryable=False) from error
        return archiving.archive(_task(plan, payload, context), context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        archiving.reap(handle, context)


def _plan(payload: DatabaseBackupPayload, agent: AgentView | None, *, organisation: str) -> _Plan:
    if agent is None:
        raise ValueError("A backup needs to know whose databases: name an agent with --agent.")
    recipient_of(payload.recipient)
    roots = [Path(root) for root in (agent.state_folder, agent.workspace_folder) if root]
    if not roots:
        raise ValueError(f"The agent '{agent.slug}' has no state folder. Set one: manage.py agent edit --state FOLDER.")
    folder = roots[0] / (payload.source or ("data" if (roots[0] / "data").is_dir() else ""))
    root = next((root for root in roots if folder.resolve().is_relative_to(root.resolve())), None)
    if root is None:
        raise PlaceRefusedError(
            f"{folder} is not inside of the folders of the agent '{agent.slug}': choose a folder in one of them.",
        )
    place = place_for(payload.to, kind="database", organisation=organisation, agent=agent.slug)
    return _Plan(agent=agent, folder=folder, root=root, place=place)


def _task(plan: _Plan, payload: DatabaseBackupPayload, context: RunContext) -> Task:
    def pack(writer: TarWriter) -> str:
        return _pack(plan, payload, writer, context)

    def fingerprint() -> str:
        with _opened(plan) as root:
            return _fingerprint(root, _found(root, plan, payload, context))

    return Task(
        origin=Origin(
            organisation_id=context.organisation_id,
            agent_id=plan.agent.id,
            agent=plan.agent.slug,
            kind="database",
            source=str(plan.folder),
            schedule=context.schedule,
            job_run_id=context.job_run_id,
        ),
        place=plan.place,
        payload=payload,
        pack=pack,
        fingerprint=fingerprint,
        problem=_problem,
        said="Backup completed: {place}{name}",
    )


@contextlib.contextmanager
def _opened(plan: _Plan) -> Iterator[int]:
    root = open_folder(plan.folder, beneath=plan.root)
    try:
        yield root
    finally:
        os.close(root)


def _found(root: int, plan: _Plan, payload: DatabaseBackupPayload, context: RunContext) -> Found:
    found = find_databases(root, chosen=payload.databases, check=context.check)
    if not found.databases:
        raise SourceMissingError(
            f"There is no SQLite database in {plan.folder}. Name the folder that has them (source), or the databases "
            "themselves.",
        )
    return found


def _pack(plan: _Plan, payload: DatabaseBackupPayload, writer: TarWriter, context: RunContext) -> str:
    """Copy, check and archive one database after the other, so that only the largest needs room."""
    with _opened(plan) as root, scratch_folder() as scratch:
        found = _found(root, plan, payload, context)
        for note in found.notes:
            writer.packed.note(note, skipped=True)
        before = _fingerprint(root, found)
        copy = scratch / "copy"
        told = [_add(root, database, copy, writer, context) for database in found.databases]
        writer.packed.extra["databases"] = told
        return before if before == _fingerprint(root, found) else ""


def _add(root: int, database: Database, copy: Path, writer: TarWriter, context: RunContext) -> dict[str, Any]:
    """One entry, with the modes and the owner of the database itself. Answers what the manifest tells of it."""
    copied = copy_database(root, database.path, copy, check=context.check)
    checked = check_copy(copy, check=context.check)
    held = f"its writer waited {copied.held:.1f} s" if copied.way == "locked" else copied.way.replace("_", " ")
    context.log(f"{database.path}: {copied.size:,} bytes in {copied.seconds:.1f} s, {held}\n")
    status = os.stat(database.path, dir_fd=root, follow_symlinks=False)
    head = Head(
        name=archived_name(database.path, stamp_text(writer.about.name)),
        kind="file",
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=copied.size,
        mtime=int(status.st_mtime),
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


def archived_name(path: str, stamp: str) -> str:
    """``agentx.db`` as seed 002 names it in an archive: ``agentx-20250115_020000.db``."""
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    stamped = f"{stem}-{stamp}{dot}{suffix}"
    return f"{folder}/{stamped}" if folder else stamped


def _problem(extra: Mapping[str, Any]) -> str:
    damaged = [f"{each['path']}: {each['problems'][0]}" for each in extra["databases"] if each["problems"]]
    if not damaged:
        return ""
    return (
        f"the database itself is damaged ({'; '.join(damaged)}). Restore it from the last good backup, or see what can "
        "be recovered: `manage.py backup report` names the backup, docs/backups.md the way."
    )


def _fingerprint(root: int, found: Found) -> str:
    """Of the files of each database that hold data; the shared memory beside them does not."""
    fingerprint = Fingerprint()
    for database in found.databases:
        for name in (database.path, f"{database.path}-wal", f"{database.path}-journal"):
            with contextlib.suppress(FileNotFoundError):
                fingerprint.add(name, os.stat(name, dir_fd=root, follow_symlinks=False))
    return fingerprint.value
