"""Reading archives again: after they were written, and once in a while for as long as they are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.archive.errors import ArchiveDamagedError, ArchiveMissingError, ArchiveUnsafeError
from backups.archive.manifest import Manifest
from backups.archive.naming import TOP
from backups.archive.reading import Found, Reading
from backups.archive.rules import Limits, trusting
from backups.archive.stores import Hooks, Readable, Source
from backups.encryption import decrypted_for
from backups.models import Backup
from backups.places import Place
from backups.services.states import SOURCE_PROBLEM, backup_damaged, backup_verified
from schedules.engine.storable import storable_json

#: Characters of what a manifest that came from elsewhere says is wrong.
_MOST_PROBLEM = 2000


@dataclass(frozen=True, kw_only=True)
class Checked:
    """``problem`` is empty for an archive that is whole. ``is_refused``: nobody read it to its end."""

    problem: str = ""
    is_refused: bool = False
    found: Found | None = None


def top_of(kind: str) -> str:
    """The folder at the top of the archives of a kind."""
    return TOP if kind == "workspace" else ""


def backup_verify(*, backup: Backup, hooks: Hooks | None = None) -> Checked:
    """Read all of it and record what was found. Raises an ``ArchiveError`` when its store can't be asked."""
    hooks = hooks or Hooks()
    checked = _checked(backup, hooks)
    if checked.problem:
        # It may have been moved to another tier, or removed, while it was read.
        fresh = Backup.objects.get(pk=backup.pk)
        if Place.of(fresh) != Place.of(backup):
            backup, checked = fresh, _checked(fresh, hooks)
    if checked.found is None:
        backup_damaged(backup=backup, problem=checked.problem)
    else:
        backup_verified(backup=backup, **_learnt(backup, checked.found))
    return checked


def _checked(backup: Backup, hooks: Hooks) -> Checked:
    with contextlib.closing(Place.of(backup).store(hooks.on_wait)) as store:
        return archive_check(
            store,
            backup.name,
            kind=backup.kind,
            sha256=backup.sha256,
            is_ours=not backup.is_adopted,
            decrypted=decrypted_for(backup.name, backup.key_id, hooks.on_wait),
            hooks=hooks,
        )


def archive_check(
    store: Source,
    name: str,
    *,
    kind: str,
    sha256: str = "",
    is_ours: bool = False,
    decrypted: Callable[[Readable], Readable] | None = None,
    hooks: Hooks | None = None,
) -> Checked:
    """Read an archive from its first byte to its last: its hash, gzip's own, each entry, its manifest.

    ``is_ours``: it was made here, by its hash, so that its size is no reason for doubt.
    """
    try:
        expected = sha256 or store.checksum(name)
        with (
            contextlib.closing(store.reader(name)) as stream,
            Reading(
                stream,
                top=top_of(kind),
                limits=trusting() if is_ours else Limits(),
                hooks=hooks,
                decrypted=decrypted,
            ) as reading,
        ):
            for _ in reading:
                pass
            found = reading.found()
    except (ArchiveDamagedError, ArchiveUnsafeError, ArchiveMissingError) as error:
        return Checked(problem=str(error), is_refused=isinstance(error, ArchiveUnsafeError))
    if expected and found.sha256 != expected:
        return Checked(problem=f"The SHA-256 of {name} is {found.sha256}, it should be {expected}.")
    return Checked(found=found)


def _learnt(backup: Backup, found: Found) -> dict[str, object]:
    """What nobody knew of an archive that was made elsewhere."""
    learnt: dict[str, object] = {}
    if not backup.sha256:
        learnt["sha256"] = found.sha256
    if backup.entries is None:
        learnt |= {"entries": found.entries, "tree_bytes": found.size, "has_manifest": found.manifest is not None}
        if found.manifest is not None:
            learnt |= _told(found.manifest, is_ours=not backup.is_adopted)
    return learnt


def _told(manifest: Manifest, *, is_ours: bool) -> dict[str, object]:
    """What a manifest says. Of one that came from elsewhere only what can't be turned against anybody."""
    told: dict[str, object] = {}
    if began := _moment(manifest.about.get("began_at")):
        told["began_at"] = began
    extra = manifest.end.get("extra")
    if isinstance(extra, dict):
        problem = {SOURCE_PROBLEM: str(extra[SOURCE_PROBLEM])[:_MOST_PROBLEM]} if extra.get(SOURCE_PROBLEM) else {}
        told["details"] = storable_json(extra if is_ours else problem)
    return told


def _moment(text: object) -> datetime | None:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    return None
