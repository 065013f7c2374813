"""Records of restores: what was put in place, and what became of the tree that was there before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from backups.archive.recovery import recover
from backups.archive.undoing import Placed, put_back
from backups.models import Backup, Restore
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

State = Restore.State
_OPEN = (State.DONE, State.UNDOING)


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
    settled = _settle(restore, State.DONE, State.CONFIRMED, actor)
    if restore.kept:
        shutil.rmtree(restore.kept, ignore_errors=True)
    return settled


def restore_undo(*, restore: Restore, actor: Actor) -> Restore:
    """Bring back what was there before; what was restored goes. Raises :class:`Conflict`, or an ``ArchiveError``.

    One that died in the middle of it can be asked for again. Nobody can confirm meanwhile: that removes what is put
    back.
    """
    restore = undoable(restore)
    claimed = Restore.objects.filter(pk=restore.pk, state=State.DONE).update(state=State.UNDOING)
    try:
        if claimed or not _was_put_back(restore):
            put_back(Path(restore.target), placed_by(restore))
    except BaseException:
        if claimed:
            _give_back(restore)
        raise
    return _settle(restore, State.UNDOING, State.UNDONE, actor)


def undoable(restore: Restore) -> Restore:
    """It as it is now. Raises :class:`Conflict` with the reason why it can't be undone."""
    restore = Restore.objects.get(pk=restore.pk)
    if restore.state not in _OPEN:
        raise _settled(restore)
    younger = Restore.objects.filter(target=restore.target, state__in=_OPEN, began_at__gt=restore.began_at).last()
    if younger is not None:
        raise Conflict(f"{restore.target} was restored again since. Undo or confirm that first: restore {younger.pk}.")
    if restore.state == State.DONE and not (restore.kept and Path(restore.kept).is_dir()):
        raise Conflict(f"There is no former tree to bring back: {restore.kept or 'nothing was there before'}.")
    return restore


def placed_by(restore: Restore) -> Placed:
    """What it did to its target."""
    return Placed(
        kept=Path(restore.kept),
        brought=tuple(restore.brought),
        retired=tuple(restore.retired),
        carried=tuple(restore.carried),
    )


def former_trees(agent: int) -> list[Path]:
    """Those of an agent that are kept until somebody confirms or undoes what took their place."""
    rows = Restore.objects.filter(agent_id=agent, state__in=_OPEN).exclude(kept="")
    return [Path(kept) for kept in rows.values_list("kept", flat=True)]


def _give_back(restore: Restore) -> None:
    """The undo failed and took its own steps back: the restore stands as it did."""
    Restore.objects.filter(pk=restore.pk, state=State.UNDOING).update(state=State.DONE)


def _was_put_back(restore: Restore) -> bool:
    """By somebody who died before he could say so."""
    settled = recover(Path(restore.target))
    if any(each.stays for each in settled):
        shutil.rmtree(restore.kept, ignore_errors=True)
    return not Path(restore.kept).is_dir()


@transaction.atomic(durable=True)
def _settle(restore: Restore, former: str, state: str, actor: Actor) -> Restore:
    done = Restore.objects.filter(pk=restore.pk, state=former).update(state=state, settled_at=database_now())
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
    if restore.state == State.UNDOING:
        return Conflict("This restore is just being undone, or whoever did it died: then undo it again.")
    return Conflict(f"This restore is settled already: {restore.get_state_display()}.")


def restore_found(organisation: Organisation, pk: int) -> Restore:
    """The organisation's restore of this number. Raises :class:`NotFound`."""
    restore = Restore.objects.of(organisation).filter(pk=pk).first()
    if restore is None:
        raise NotFound(f"There is no restore {pk} in {organisation}.", field="restore")
    return restore
