"""Records of restores: what was put in place, and what became of the tree that was there before."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from backups.archive.errors import ArchiveError, SourceMissingError
from backups.archive.home import open_home
from backups.archive.undoing import Placed, PuttingBack
from backups.models import Backup, Restore
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

logger = logging.getLogger(__name__)

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
    """What was put in place is right: the former tree is removed. Raises :class:`Conflict`.

    What of it could not be removed is still named by ``kept``, and housekeeping tries again.
    """
    settled = _settle(restore, State.DONE, State.CONFIRMED, actor)
    former_tree_remove(settled)
    return settled


def restore_undo(*, restore: Restore, actor: Actor) -> Restore:
    """Bring back what was there before; what was restored goes. Raises :class:`Conflict`, or an ``ArchiveError``.

    One that died in the middle of it can be asked for again. Nobody can confirm meanwhile: that removes what is put
    back.
    """
    restore = undoable(restore)
    with PuttingBack(Path(restore.target), _placed(restore), beneath=beneath_of(restore)) as work:
        restore = undoable(restore)  # nobody else works there now
        if restore.state == State.DONE or not work.was_moved:
            _move(restore, work)
        settled = _settle(restore, State.UNDOING, State.UNDONE, actor)
        work.tidy()
    return settled


def _move(restore: Restore, work: PuttingBack) -> None:
    if not Restore.objects.filter(pk=restore.pk, state__in=_OPEN).update(state=State.UNDOING):
        raise _settled(Restore.objects.get(pk=restore.pk))
    try:
        work.move()
    except BaseException:
        if not work.stands:
            Restore.objects.filter(pk=restore.pk, state=State.UNDOING).update(state=State.DONE)
        raise


def undoable(restore: Restore) -> Restore:
    """It as it is now. Raises :class:`Conflict` with the reason why it can't be undone."""
    restore = Restore.objects.get(pk=restore.pk)
    if restore.state not in _OPEN:
        raise _settled(restore)
    if (younger := _younger(restore)) is not None:
        raise Conflict(
            f"{younger.target} was restored since, which is, holds or lies in {restore.target}. Undo or confirm that "
            f"first: restore {younger.pk}."
        )
    if restore.kept and restore.state == State.DONE and not Path(restore.kept).is_dir():
        raise Conflict(f"There is no former tree to bring back any more: {restore.kept}.")
    return restore


def _younger(restore: Restore) -> Restore | None:
    """One whose former tree, or whose target, would go with what is undone."""
    rows = Restore.objects.filter(organisation=restore.organisation_id, state__in=_OPEN, began_at__gte=restore.began_at)
    target = Path(restore.target)
    for each in rows.exclude(pk=restore.pk).order_by("-began_at", "-pk"):
        other = Path(each.target)
        is_younger = (each.began_at, each.pk) > (restore.began_at, restore.pk)
        if is_younger and (other.is_relative_to(target) or target.is_relative_to(other)):
            return each
    return None


def _placed(restore: Restore) -> Placed:
    return Placed(
        kept=Path(restore.kept) if restore.kept else None,
        brought=tuple(restore.brought),
        retired=tuple(restore.retired),
        carried=tuple(restore.carried),
    )


def beneath_of(restore: Restore) -> Path | None:
    """The outermost folder of the operator's that its target lies in."""
    return Path(restore.beneath) if restore.beneath else None


def former_trees(agent: int) -> list[Path]:
    """Those of an agent that are kept until somebody confirms or undoes what took their place."""
    rows = Restore.objects.filter(agent_id=agent).exclude(kept="").exclude(state=State.UNDONE)
    return [Path(kept) for kept in rows.values_list("kept", flat=True)]


def former_trees_remove() -> int:
    """Of those that are confirmed: their removal was cut off. Answers how many are gone now."""
    rows = Restore.objects.filter(state=State.CONFIRMED).exclude(kept="")
    return sum(former_tree_remove(restore) for restore in rows)


def former_tree_remove(restore: Restore) -> bool:
    """Whether nothing is left of it. ``kept`` is emptied then."""
    kept = Path(restore.kept)
    if not restore.kept:
        return True
    try:
        home = open_home(kept.parent, Path(restore.target).resolve(), beneath_of(restore))
    except SourceMissingError:
        pass  # gone with the folder that held it
    except ArchiveError as error:
        logger.warning("%s can't be removed: %s", kept, error)
        return False
    else:
        try:
            shutil.rmtree(kept.name, ignore_errors=True, dir_fd=home)
            if kept.name in os.listdir(home):  # noqa: PTH208 - of a descriptor
                logger.warning("%s can't be removed wholly.", kept)
                return False
        finally:
            os.close(home)
    restore.kept = ""
    Restore.objects.filter(pk=restore.pk).update(kept="")
    return True


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
        before={"state": former},
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
