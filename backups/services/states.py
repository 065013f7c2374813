"""The one writer of ``Backup.state``: each edge is a compare-and-set, in the transaction of what it means."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from backups.models import Backup
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict
from monitoring.services import alert_raise, alert_resolve
from schedules.engine.clock import database_now

State = Backup.State
#: In ``details``: what was wrong with the source itself.
SOURCE_PROBLEM = "source_problem"
_THERE = (State.COMPLETE, State.VERIFIED, State.DAMAGED)
#: What a check may learn of an archive that was adopted, or made before there was a record.
_LEARNT = ("sha256", "entries", "tree_bytes", "has_manifest", "details", "began_at", "key_id")


@transaction.atomic
def backup_verified(*, backup: Backup, **learnt: Any) -> bool:
    """It was read from its first byte to its last and is what was stored. False: it is deleted meanwhile.

    What was damaged when it was archived is damaged for good, however well its bytes were kept.
    """
    now = database_now()
    if problem := learnt.get("details", backup.details).get(SOURCE_PROBLEM):
        return backup_damaged(backup=backup, problem=str(problem))
    unknown = set(learnt) - set(_LEARNT)
    if unknown:
        raise TypeError(f"a check learns nothing of {unknown}")
    changed = Backup.objects.filter(pk=backup.pk, state__in=_THERE).update(
        state=State.VERIFIED, problem="", checked_at=now, **learnt
    )
    Backup.objects.filter(pk=backup.pk, state=State.VERIFIED, verified_at=None).update(verified_at=now)
    if changed:
        alert_resolve(organisation=backup.organisation, key=_alert_key(backup))
    return bool(changed)


@transaction.atomic
def backup_damaged(*, backup: Backup, problem: str) -> bool:
    """It can't be read, or is not what was stored. People hear of it.

    False: it is deleted meanwhile, or was carried on to another place than the one that was looked at.
    """
    seen = Backup.objects.filter(pk=backup.pk, storage=backup.storage, root=backup.root)
    changed = seen.filter(state__in=_THERE).update(state=State.DAMAGED, problem=problem, checked_at=database_now())
    if changed:
        alert_raise(
            organisation=backup.organisation,
            key=_alert_key(backup),
            severity="critical",
            title=f"The archive {backup.name} of {backup.agent_slug} is damaged",
            detail=f"{problem} Make a new one now: `manage.py backup create --agent {backup.agent_slug}`.",
        )
    return bool(changed)


@transaction.atomic
def backup_deleted(*, backup: Backup, why: str, actor: Actor) -> bool:
    """Its archive is about to be removed: the record first, so that nobody relies on what may be half gone.

    Raises :class:`Conflict` for the last good one of its siblings. All of them are locked: of two who delete the last
    two good ones, the second must see what the first did.
    """
    list(Backup.objects.siblings(backup).select_for_update(no_key=True).order_by("pk"))
    if reason := why_it_stays(Backup.objects.get(pk=backup.pk)):
        raise Conflict(reason)
    changed = Backup.objects.filter(pk=backup.pk, state__in=_THERE).update(
        state=State.DELETED, deleted_at=database_now(), deleted_why=why[:200]
    )
    if changed:
        audit_record(
            actor=actor,
            action="backup.delete",
            subject=backup,
            organisation=backup.organisation,
            before={"state": backup.state, "place": f"{backup.root}/{backup.prefix}{backup.name}", "size": backup.size},
            after={"state": State.DELETED, "why": why},
        )
        alert_resolve(organisation=backup.organisation, key=_alert_key(backup))
    return bool(changed)


def why_it_stays(backup: Backup) -> str:
    """Empty when it may go."""
    others = Backup.objects.siblings(backup).exclude(pk=backup.pk)
    if not backup.is_good or others.good().exists():
        return ""
    return (
        f"{backup} is the last good archive of its kind of '{backup.agent_slug}' from {backup.source or 'there'}: "
        "without it nothing could be restored. Make a new one first, then this one may go."
    )


def _alert_key(backup: Backup) -> str:
    return f"backup.damaged:{backup.pk}"
