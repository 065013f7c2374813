"""Records of restores: what was put in place, and what became of the tree that was there before."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q

from backups.archive.errors import ArchiveError
from backups.archive.home import open_home
from backups.archive.recovery import Settled, recover
from backups.archive.undoing import Placed, PuttingBack
from backups.models import Backup, Restore
from backups.querysets import RestoreQuerySet
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import Conflict, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

logger = logging.getLogger(__name__)

State = Restore.State
#: For which undos are looked at again: those that died after their last line.
_RECENTLY = timedelta(days=7)
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
    if restore.state == State.UNDOING:
        undo_recover(restore, actor=actor)
        restore.refresh_from_db()
        if restore.state == State.UNDONE:
            return restore
    target, beneath = Path(restore.target), beneath_of(restore)
    with PuttingBack(target, _placed(restore), beneath=beneath, owner=_owner(restore)) as work:
        restore = undoable(restore)  # nobody else works there now
        if restore.state == State.DONE or not work.is_gone:
            _move(restore, work)
        settled = _settle(restore, State.UNDOING, State.UNDONE, actor)
        work.tidy()
    return settled


def undo_recover(restore: Restore, *, actor: Actor) -> list[str]:
    """What an undo left that died: taken back, or, where it was through, recorded. Answers what is said of it.

    Raises an ``ArchiveError``.
    """

    def record(settled: Settled) -> None:
        undoing = Restore.objects.filter(pk=restore.pk, state=State.UNDOING)
        if settled.stays and settled.journal.is_undo and undoing.exists():
            _settle(restore, State.UNDOING, State.UNDONE, actor)

    beneath, owner = beneath_of(restore), _owner(restore)
    found = recover(Path(restore.target), beneath=beneath, owner=owner, own_only=True, record=record)
    return [settled.said for settled in found]


def _owner(restore: Restore) -> str:
    return f"the undo of restore {restore.pk}"


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
    if _is_unmounted(restore):
        raise Conflict(f"{restore.target} was a volume of its own, and is not mounted: mount it first.")
    if restore.kept and restore.state == State.DONE and not Path(restore.kept).is_dir():
        raise Conflict(f"There is no former tree to bring back any more: {restore.kept}.")
    if not restore.kept and (since := _since(restore).filter(state=State.CONFIRMED, target=restore.target).first()):
        raise Conflict(
            f"{restore.target} was restored since, and somebody confirmed that (restore {since.pk}). Nothing was there "
            "before this one, so an undo would remove it: confirm this one, too."
        )
    return restore


def _is_unmounted(restore: Restore) -> bool:
    """The former tree of a volume lies in the volume."""
    target = Path(restore.target).resolve()
    return bool(restore.kept) and Path(restore.kept).parent == target and not target.is_mount()


def _younger(restore: Restore) -> Restore | None:
    """One whose former tree, or whose target, would go with what is undone."""
    target = Path(restore.target)
    for each in _since(restore).filter(state__in=_OPEN):
        other = Path(each.target)
        if other.is_relative_to(target) or target.is_relative_to(other):
            return each
    return None


def _since(restore: Restore) -> RestoreQuerySet:
    """Younger ones, the youngest first."""
    rows = Restore.objects.filter(organisation=restore.organisation_id)
    younger = Q(began_at__gt=restore.began_at) | Q(began_at=restore.began_at, pk__gt=restore.pk)
    return rows.filter(younger).order_by("-began_at", "-pk")


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
    """What confirms and undos that were cut off left on the disk. Answers how many former trees are gone now."""
    recent = database_now() - _RECENTLY
    for restore in Restore.objects.filter(state=State.UNDONE, settled_at__gte=recent):
        with contextlib.suppress(ArchiveError):
            undo_recover(restore, actor=Actor.system("housekeeping"))
    rows = Restore.objects.filter(state=State.CONFIRMED).exclude(kept="")
    return sum(former_tree_remove(restore) for restore in rows)


def former_tree_remove(restore: Restore) -> bool:
    """Whether nothing is left of it. ``kept`` is emptied then."""
    kept = Path(restore.kept)
    if not restore.kept:
        return True
    if _is_unmounted(restore):
        logger.warning("%s can't be removed: its volume is not mounted.", kept)
        return False
    try:
        home = open_home(kept.parent, Path(restore.target).resolve(), beneath_of(restore))
    except ArchiveError as error:
        logger.warning("%s can't be removed: %s", kept, error)
        return False
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
