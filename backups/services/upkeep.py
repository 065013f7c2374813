"""What is done for archives when nobody asks: re-checks, moves between the tiers, rules of age, rests of crashes."""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import F

from backups.archive.errors import ArchiveError
from backups.archive.s3sweep import sweep_uploads
from backups.archive.stores import Hooks
from backups.models import Backup
from backups.places import tier_place
from backups.retention.tiers import Name as TierName
from backups.services.pruning import backups_prune, strays_remove, tier_move, tiers_plan
from backups.services.restores import former_trees_remove
from backups.services.verification import backup_verify
from fleet.actors import Actor
from fleet.errors import Conflict
from schedules.engine import draining
from schedules.engine.clock import database_now
from schedules.models import Run
from schedules.services.housekeeping import Budget

logger = logging.getLogger(__name__)

ACTOR = Actor.system("housekeeping")


def backups_recheck(*, days: int, megabytes: int, budget: Budget) -> dict[str, int]:
    """Read archives again that were not looked at for ``days``, the longest ago first, ``megabytes`` of them at most.

    One at least, whatever its size, or the largest would never have its turn. Answers how many were whole and damaged.
    """
    done = {"verified": 0, "damaged": 0, "not reached": 0}
    left = megabytes * 1024**2
    for backup in _due(days):
        if not budget.goes_on() or left <= 0:
            break
        Backup.objects.filter(pk=backup.pk).update(tried_at=database_now())
        try:
            # An archive that takes long is read to its end all the same, or it would never have its turn.
            checked = backup_verify(backup=backup, hooks=_hooks())
        except _OverError:
            break
        except Exception as error:  # noqa: BLE001 - whatever an archive does, the next ones have their turn
            logger.warning("%s can't be checked now: %s: %s", backup, type(error).__name__, error)
            done["not reached"] += 1
            continue
        left -= backup.size
        done["damaged" if checked.problem else "verified"] += 1
    return done


def _due(days: int) -> list[Backup]:
    before = database_now() - timedelta(days=days)
    rows = Backup.objects.there().exclude(checked_at__gte=before)
    return list(rows.order_by(F("tried_at").asc(nulls_first=True), "pk")[:10_000])


class _OverError(Exception):
    """This worker is to end."""


def _hooks() -> Hooks:
    def chunk(*_: int) -> None:
        if draining.is_draining():
            raise _OverError

    return Hooks(on_chunk=chunk, on_wait=chunk)


def tiers_tidy(*, budget: Budget) -> dict[str, int]:
    """Carry archives on from tier to tier, and out of the last one."""
    done = {"moved": 0, "removed": 0, "failed": 0}
    for backup, move in tiers_plan(tiers=settings.WATCHBILL.backup_tiers, now=database_now()):
        if not budget.goes_on():
            break
        try:
            tier_move(backup=backup, move=move, actor=ACTOR, hooks=_hooks())
        except (ArchiveError, Conflict) as error:
            logger.warning("%s stays in the %s tier: %s", backup, move.of, error)
            done["failed"] += 1
            continue
        except _OverError:
            break
        done["moved" if move.to else "removed"] += 1
    _leftovers_remove()
    return done


def _leftovers_remove() -> None:
    """What a move that was cut off left where it came from: the record names the copy, which was hashed."""
    ways: tuple[tuple[TierName, TierName], ...] = (("warm", "hot"), ("cold", "warm"))
    for tier, former in ways:
        for backup in Backup.objects.there().filter(tier=tier).iterator():
            with (
                contextlib.suppress(ArchiveError),
                contextlib.closing(tier_place(former, backup.prefix).store()) as store,
            ):
                if store.exists(backup.name):
                    store.delete(backup.name)


def backups_expire(*, budget: Budget) -> dict[str, int]:
    """Apply the rules of keeping where no new backup did it: an age goes on when the backups have stopped."""
    removed = 0
    seen: set[int] = set()
    now = database_now()
    for backup in Backup.objects.there().filter(tier="").order_by("-began_at", "-pk").iterator():
        if not budget.goes_on():
            break
        if backup.pk in seen:
            continue
        siblings = list(Backup.objects.siblings(backup))
        seen.update(sibling.pk for sibling in siblings)
        gone, warning = backups_prune(siblings=siblings, actor=ACTOR, now=now)
        removed += len(gone)
        if warning:
            logger.warning("%s", warning)
    return {"removed": removed}


def rests_remove(*, hours: int) -> dict[str, int]:
    """Unfinished uploads that nobody works on, archives that are recorded as deleted and still there, and former trees
    of restores that were confirmed."""
    s3 = settings.WATCHBILL.s3
    swept = 0
    if s3.configured:
        keep = {str(handle.get("upload_id", "")) for handle in _handles()}
        with contextlib.suppress(ArchiveError):
            swept = len(sweep_uploads(s3, "", timedelta(hours=hours), keep=keep))
    return {"uploads": swept, "archives": strays_remove(), "former trees": former_trees_remove()}


def _handles() -> list[dict[str, object]]:
    return list(Run.objects.active().exclude(handle={}).values_list("handle", flat=True))
