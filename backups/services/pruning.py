"""Removing what the rules of keeping do not want, and moving archives from tier to tier."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from backups.archive.errors import ArchiveError, ArchiveMissingError
from backups.archive.stores import Hooks, Store
from backups.archive.transfer import transfer
from backups.models import Backup
from backups.places import TIERS, Place, tier_place
from backups.retention.copies import Copy, Verdict
from backups.retention.rules import Rules, verdicts
from backups.retention.tiers import Move, Tiers, moves
from backups.services.states import backup_deleted
from fleet.actors import Actor
from fleet.errors import Conflict
from schedules.engine.clock import database_now


def copy_of(backup: Backup) -> Copy:
    return Copy(
        id=backup.pk,
        name=backup.name,
        since=backup.began_at,
        until=backup.still_at,
        size=backup.size,
        is_good=backup.is_good,
        is_damaged=backup.state == Backup.State.DAMAGED,
    )


def keeping_of(backups: Iterable[Backup], *, now: datetime) -> list[tuple[Backup, Verdict]]:
    """What the rules say of each of these siblings, by the rules that the newest of them came with."""
    rows = {backup.pk: backup for backup in backups}
    if not rows:
        return []
    newest = max(rows.values(), key=lambda backup: (backup.began_at, backup.pk))
    rules = Rules.model_validate(newest.retention)
    return [(rows[verdict.copy.id], verdict) for verdict in verdicts(list(map(copy_of, rows.values())), rules, now=now)]


def plan_of(backups: Iterable[Backup]) -> list[tuple[Backup, Verdict]]:
    """What the rules say of each, but for those in a tier, which has times of its own."""
    plan: list[tuple[Backup, Verdict]] = []
    seen: set[int] = set()
    now = database_now()
    for backup in backups:
        if backup.pk in seen or backup.tier or backup.state == Backup.State.DELETED:
            continue
        siblings = list(Backup.objects.siblings(backup))
        seen.update(sibling.pk for sibling in siblings)
        plan += [each for each in keeping_of(siblings, now=now) if not each[0].tier]
    return plan


def backups_prune(*, siblings: Iterable[Backup], actor: Actor, now: datetime) -> tuple[list[str], str]:
    """Remove what the rules do not want. Answers the names that went, and why others could not go."""
    gone: list[str] = []
    for backup, verdict in reversed(keeping_of(siblings, now=now)):
        # What lies in a tier goes with its tier, once no rule wants it.
        if verdict.is_kept or backup.tier:
            continue
        try:
            backup_remove(backup=backup, why=verdict.why[0], actor=actor)
        except Conflict:
            continue  # the one that was to stay went meanwhile
        except ArchiveError as error:
            return gone, f"Old archives could not be removed: {error}"
        gone.append(backup.name)
    return gone, ""


def backup_remove(*, backup: Backup, why: str, actor: Actor) -> None:
    """Record it as deleted, then remove it. What can't be removed is found again by :func:`strays_remove`.

    Raises :class:`Conflict` for the last good one, and an ``ArchiveError``.
    """
    if not backup_deleted(backup=backup, why=why, actor=actor):
        return
    with contextlib.closing(Place.of(backup).store()) as store:
        _delete(store, backup.name)
    _gone(backup)


def strays_remove(*, most: int = 1000) -> int:
    """Remove archives that are recorded as deleted and still there: their removal was cut off."""
    removed = 0
    cut_off = Backup.objects.filter(state=Backup.State.DELETED, removed_at=None)
    for backup in cut_off.order_by("deleted_at")[:most]:
        with contextlib.suppress(ArchiveError), contextlib.closing(Place.of(backup).store()) as store:
            if store.exists(backup.name) and not _is_recorded(Place.of(backup), backup.name):
                _delete(store, backup.name)
                removed += 1
            _gone(backup)
    return removed


def _gone(backup: Backup) -> None:
    Backup.objects.filter(pk=backup.pk).update(removed_at=database_now())


def _is_recorded(place: Place, name: str) -> bool:
    """Whether a row stands for what lies in this place now."""
    rows = Backup.objects.there().filter(storage=place.storage, root=place.root, prefix=place.prefix, name=name)
    return rows.exists()


def _delete(store: Store, name: str) -> None:
    with contextlib.suppress(ArchiveMissingError):
        store.delete(name)


def tiers_plan(*, tiers: Tiers, now: datetime) -> list[tuple[Backup, Move]]:
    """What leaves its tier. Tiers are of the whole host, quotas too; what must not go is judged by siblings."""
    found: list[tuple[Backup, Move | None]] = []
    for tier in TIERS:
        rows = {backup.pk: backup for backup in Backup.objects.there().filter(tier=tier)}
        kept = _kept(rows.values(), now=now)
        plan = moves(tier, list(map(copy_of, rows.values())), tiers, kept=kept, now=now)
        found.extend(_sound(rows[move.copy.id], move, kept) for move in plan)
    return [(backup, move) for backup, move in found if move is not None]


def _sound(backup: Backup, move: Move, kept: set[int]) -> tuple[Backup, Move | None]:
    """Nobody carries a damaged one on: it goes, or, where it is the best that there is, stays where it is."""
    if backup.state != Backup.State.DAMAGED:
        return backup, move
    return backup, None if backup.pk in kept else replace(move, to="")


def _kept(backups: Iterable[Backup], *, now: datetime) -> set[int]:
    """Those that their own rules want, or that are the last good ones of their kind, in whatever tier."""
    kept: set[int] = set()
    seen: set[int] = set()
    for backup in backups:
        if backup.pk in seen:
            continue
        siblings = list(Backup.objects.siblings(backup))
        seen.update(sibling.pk for sibling in siblings)
        good = [sibling for sibling in siblings if sibling.is_good]
        for sibling, verdict in keeping_of(siblings, now=now):
            is_damaged = sibling.state == Backup.State.DAMAGED
            is_useless = is_damaged and any(each.still_at > sibling.still_at for each in good)
            if verdict.is_kept and verdict.why != ("no rule",) and not is_useless:
                kept.add(sibling.pk)
        if good:
            kept.add(max(good, key=lambda sibling: sibling.began_at).pk)
    return kept


def tier_move(*, backup: Backup, move: Move, actor: Actor, hooks: Hooks | None = None) -> None:
    """Carry one archive on, or out. It is copied, hashed, recorded, and only then removed where it was."""
    if not move.to:
        backup_remove(backup=backup, why=f"{move.of}: {move.why}", actor=actor)
        return
    hooks = hooks or Hooks()
    if not Backup.objects.filter(pk=backup.pk, tier=move.of, state=backup.state).exists():
        return  # somebody else was faster
    old, new = Place.of(backup), tier_place(move.to, backup.prefix)
    with contextlib.closing(old.store(hooks.on_wait)) as source, contextlib.closing(new.store(hooks.on_wait)) as target:
        transfer(backup.name, source, target, sha256=backup.sha256, hooks=hooks)
        moved = Backup.objects.filter(pk=backup.pk, tier=old.tier, state=backup.state).update(
            tier=new.tier, storage=new.storage, root=new.root
        )
        if moved:
            _delete(source, backup.name)
        elif not _is_recorded(new, backup.name):
            # It was deleted meanwhile. Not so when another one has carried it on: then the copy is the archive.
            _delete(target, backup.name)
