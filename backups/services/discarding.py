"""An archive that a person wants gone, and the one that nobody may have gone."""

from __future__ import annotations

import contextlib

from django.db import transaction

from backups.archive.errors import ArchiveError, ArchiveMissingError
from backups.models import Backup
from backups.places import Place
from backups.services.states import backup_deleted, why_it_stays
from fleet.actors import Actor
from fleet.errors import Conflict


def backup_discard(*, backup: Backup, actor: Actor) -> str:
    """Delete one archive; its record stays, and says who did it.

    Answers why the archive itself is still there; empty when it is gone. Raises :class:`Conflict` for the last good
    one of its siblings, and for one that is deleted already.
    """
    fresh = _record(backup, actor)
    try:
        with contextlib.closing(Place.of(fresh).store()) as store, contextlib.suppress(ArchiveMissingError):
            store.delete(fresh.name)
    except ArchiveError as error:
        return f"{fresh} is recorded as deleted. Housekeeping removes the archive itself, which failed now: {error}"
    return ""


def why_not_discarded(backup: Backup) -> str:
    """Why it must stay; empty when it may go."""
    if backup.state == Backup.State.DELETED:
        return f"{backup} was deleted already ({backup.deleted_why})."
    return why_it_stays(backup)


@transaction.atomic(durable=True)
def _record(backup: Backup, actor: Actor) -> Backup:
    fresh = Backup.objects.select_related("organisation").get(pk=backup.pk)
    if fresh.state == Backup.State.DELETED or not backup_deleted(
        backup=fresh, why=f"deleted by {actor.label}", actor=actor
    ):
        raise Conflict(why_not_discarded(Backup.objects.get(pk=backup.pk)))
    return fresh
