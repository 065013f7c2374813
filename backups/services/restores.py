"""Records of restores: what was put in place, and what became of the tree that was there before."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from backups.archive.errors import store_error
from backups.archive.rename import exchange, rename_new
from backups.models import Backup, Restore
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

State = Restore.State
_AT_FDCWD = -100


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
    """Bring the former tree back; what was restored goes. Raises :class:`Conflict`, or an ``ArchiveError``.

    Only for a restore of a whole tree: single files are put back from where they are kept, by hand.
    """
    target, kept = Path(restore.target), Path(restore.kept)
    if not restore.kept or not kept.is_dir():
        raise Conflict(f"There is no former tree to bring back: {restore.kept or 'nothing was there before'}.")
    if kept.parent != target.parent:
        raise Conflict(f"Only some paths were restored. What was there before is in {kept}: move back what you need.")
    settled = _settle(restore, State.UNDONE, actor)
    try:
        _exchange(kept, target)
    except OSError as error:
        raise store_error(error, str(target)) from error
    shutil.rmtree(kept, ignore_errors=True)
    return settled


def _exchange(kept: Path, target: Path) -> None:
    if exchange((_AT_FDCWD, str(kept)), (_AT_FDCWD, str(target))):
        return
    away = target.with_name(f"{target.name}.undone")
    if not rename_new(target, away):
        target.rename(away)
    with contextlib.ExitStack() as undo:
        undo.callback(os.rename, away, target)
        kept.rename(target)
        undo.pop_all()
    away.rename(kept)


@transaction.atomic(durable=True)
def _settle(restore: Restore, state: str, actor: Actor) -> Restore:
    done = Restore.objects.filter(pk=restore.pk, state=State.DONE).update(state=state, settled_at=database_now())
    fresh = Restore.objects.get(pk=restore.pk)
    if not done:
        raise Conflict(f"This restore is settled already: {fresh.get_state_display()}.")
    audit_record(
        actor=actor,
        action=f"restore.{state}",
        subject=fresh,
        organisation=fresh.organisation,
        before={"state": State.DONE},
        after={"state": state, "kept": fresh.kept},
    )
    return fresh


def restore_found(organisation: Organisation, pk: int) -> Restore:
    """The organisation's restore of this number. Raises :class:`NotFound`."""
    restore = Restore.objects.of(organisation).filter(pk=pk).first()
    if restore is None:
        raise NotFound(f"There is no restore {pk} in {organisation}.", field="restore")
    return restore
