"""The databases of an agent's data folder: where they are by default, and whether they still are databases."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field

from backups.archive.errors import ArchiveError, PlaceRefusedError, SourceMissingError
from backups.archive.folder import open_folder, outermost
from backups.models import Backup
from backups.places import own_paths
from backups.services.restores import former_trees
from backups.sqlite.finding import Database, Found, find_databases
from backups.sqlite.isolated import Check
from schedules.executors.base import AgentView, Payload

#: Good archives that are asked which databases there were.
_REMEMBERED = 10
_MEANT = "(if that is meant, name those that are left: databases)"


class SourceDamagedError(ArchiveError):
    """What was to be archived is not what it was."""

    code = "source_damaged"
    retryable = False


class DatabasesPayload(Payload):
    """``source``: the folder with the databases; the agent's state folder, or its ``data`` folder where it has one.

    ``databases``: paths below it; all that it holds, unless given.
    """

    source: str | None = Field(default=None, min_length=1)
    databases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """``folder`` lies in ``root``, a folder of the agent; ``chosen`` are paths below it, none for all."""

    agent: AgentView
    folder: Path
    root: Path
    chosen: tuple[str, ...]

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Its descriptor. Raises ``SourceMissingError``, ``SourceUnreadableError``, ``PlaceRefusedError``."""
        descriptor = open_folder(self.folder, beneath=self.root)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def named(self, path: str) -> str:
        """A database by its path below the agent's folder: ``data/agentx.db``."""
        return str(PurePosixPath(self.folder.resolve().relative_to(self.root.resolve()), path))


def data_folder(payload: DatabasesPayload, agent: AgentView | None) -> DataFolder:
    """What a payload means for an agent. Raises ``ValueError`` and ``PlaceRefusedError`` with the way out."""
    if agent is None:
        raise ValueError("It has to be known whose databases: name an agent with --agent.")
    roots = [Path(root) for root in (agent.state_folder, agent.workspace_folder) if root]
    if not roots:
        raise ValueError(f"The agent '{agent.slug}' has no state folder. Set one: manage.py agent edit --state FOLDER.")
    folder = roots[0] / (payload.source or ("data" if (roots[0] / "data").is_dir() else ""))
    root = outermost(folder, roots)
    if root is None:
        raise PlaceRefusedError(
            f"{folder} is not inside of the folders of the agent '{agent.slug}': choose a folder in one of them.",
        )
    for path in payload.databases:
        _refuse_outside(path, folder)
    # One name for each: `./a.db` and `a.db` would be the same entry of an archive twice.
    chosen = tuple(dict.fromkeys(str(PurePosixPath(path)) for path in payload.databases))
    return DataFolder(agent=agent, folder=folder, root=root, chosen=chosen)


def _refuse_outside(path: str, folder: Path) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts:
        raise PlaceRefusedError(f"'{path}' is not a path below {folder}: name a database as it is called there.")


def databases_of(data: DataFolder, root: int, *, check: Check) -> Found:
    """Those in the open folder ``root``, maybe none; Watchbill's own, and former trees that it keeps, are left out."""
    found = find_databases(root, chosen=data.chosen, check=check)
    here = data.folder.resolve()
    own = [path for path in (*own_paths(), *former_trees(data.agent.id)) if path.is_relative_to(here)]
    theirs = [each for each in found.databases if not any((here / each.path).is_relative_to(path) for path in own)]
    return Found(databases=tuple(theirs), notes=found.notes)


def no_databases(data: DataFolder, found: Found) -> SourceMissingError:
    """For a folder without any, with the reasons for which others were left out."""
    notes = f" Left out: {'; '.join(found.notes[:3])}." if found.notes else ""
    return SourceMissingError(
        f"There is no SQLite database in {data.folder}.{notes} Name the folder that has them (source), or the "
        "databases themselves.",
    )


def good_backups(*, organisation_id: int, agent: str, folder: Path) -> list[Backup]:
    """The newest verified archives of these databases, the newest first."""
    good = Backup.objects.good().filter(organisation_id=organisation_id, agent_slug=agent, kind="database")
    return list(good.filter(source=str(folder)).order_by("-began_at")[:_REMEMBERED])


def pages_known(backups: Iterable[Backup]) -> dict[str, int]:
    """Database → its pages, as the newest of these archives (which come first) that holds it knows it."""
    known: dict[str, int] = {}
    for backup in backups:
        for each in backup.details.get("databases", []):
            known.setdefault(each["path"], each["pages"])
    return known


def no_databases_any_more(
    data: DataFolder, root: int, databases: Iterable[Database], known: Mapping[str, int]
) -> dict[str, str]:
    """Files that were databases with content when last seen well, and what is wrong with them now.

    A first page that was written over, or a file cut to nothing, leaves no database to be found damaged: without a
    look back, the next archive would lack it, count as good, and in time take the place of those that have it.
    """
    sizes = {each.path: each.size for each in databases}
    problems: dict[str, str] = {}
    for path, pages in known.items():
        if not pages or sizes.get(path) or (data.chosen and path not in data.chosen):
            continue
        if path in sizes:
            problems[path] = f"it has no bytes any more {_MEANT}"
        elif _exists(root, path):
            problems[path] = f"it is no SQLite database any more, its first page is damaged or it was replaced {_MEANT}"
    return problems


def _exists(root: int, path: str) -> bool:
    try:
        os.stat(path, dir_fd=root, follow_symlinks=False)
    except OSError:
        return False
    return True
