"""Records of restores: what was put in place, and what became of the tree that was there before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from backups.archive.undoing import Placed, put_back
from backups.models import Backup, Restore
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

State = Restore.State


@transaction.atomic(durable=True)
def restore_record(
    *, organisation_id: int, agent_id: int, backup: Backup | None, actor: Actor, **values: Any
) -> Restore:
    """What a restore did, or why it did not. ``values``: the fields of the model that are not named here."""
    organisation = Organisation.objects.get(pk=organisation_id)
    restore = Restore.objects.create(
        organisation=organisation,
        agent=Agent.objects.of(organisation).filter(pk=agent_id).first(),
        backup=backup,
        settled_at=database_now() if values["state"] == State.FAILED else None,
        **values,
    )
    audit_record(
        actor=actor,
        action="restore.run",
        subject=restore,
        organisation=organisation,
        after={"archive": restore.archive, "target": restore.target, "kept": restore.kept, "state": restore.state},
    )
    return restore


def restore_confirm(*, restore: Restore, actor: Actor) -> Restore:
    """What was put in place is right: the former tree is removed. Raises :class:`Conflict`."""
    settled = _settle(restore, State.CONFIRMED, actor)
    if restore.kept:
        shutil.rmtree(restore.kept, ignore_errors=True)
    return settled


def restore_undo(*, restore: Restore, actor: Actor) -> Restore:
    """Bring back what was there before; what was restored goes. Raises :class:`Conflict`, or an ``ArchiveError``."""
    restore.refresh_from_db()
    if restore.state != State.DONE:
        raise _settled(restore)
    younger = Restore.objects.filter(target=restore.target, state=State.DONE, began_at__gt=restore.began_at).last()
    if younger is not None:
        raise Conflict(f"{restore.target} was restored again since. Undo or confirm that first: restore {younger.pk}.")
    if not restore.kept or not Path(restore.kept).is_dir():
        raise Conflict(f"There is no former tree to bring back: {restore.kept or 'nothing was there before'}.")
    placed = Placed(
        kept=Path(restore.kept),
        brought=tuple(restore.brought),
        retired=tuple(restore.retired),
        carried=tuple(restore.carried),
    )
    put_back(Path(restore.target), placed)
    return _settle(restore, State.UNDONE, actor)


@transaction.atomic(durable=True)
def _settle(restore: Restore, state: str, actor: Actor) -> Restore:
    done = Restore.objects.filter(pk=restore.pk, state=State.DONE).update(state=state, settled_at=database_now())
    fresh = Restore.objects.get(pk=restore.pk)
    if not done:
        raise _settled(fresh)
    audit_record(
        actor=actor,
        action=f"restore.{state}",
        subject=fresh,
        organisation=fresh.organisation,
        before={"state": State.DONE},
        after={"state": state, "kept": fresh.kept},
    )
    return fresh


def _settled(restore: Restore) -> Conflict:
    return Conflict(f"This restore is settled already: {restore.get_state_display()}.")


def restore_found(organisation: Organisation, pk: int) -> Restore:
    """The organisation's restore of this number. Raises :class:`NotFound`."""
    restore = Restore.objects.of(organisation).filter(pk=pk).first()
    if restore is None:
        raise NotFound(f"There is no restore {pk} in {organisation}.", field="restore")
    return restore
