"""The housekeeping of archives: entries of django-celery-beat, editable in the admin."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from backups.services import upkeep
from backups.services.adoption import adopted_again
from schedules.services.housekeeping import Budget, checked


@shared_task(name="housekeeping.recheck_backups", ignore_result=False)
def recheck_backups(*, days: int = 7, megabytes: int = 4096, minutes: int = 30) -> dict[str, Any]:
    """Read archives again that were not looked at for ``days``, at most so many megabytes and minutes of them."""
    checked(days=days, megabytes=megabytes, minutes=minutes)
    return upkeep.backups_recheck(days=days, megabytes=megabytes, budget=Budget(minutes=minutes))


@shared_task(name="housekeeping.adopt_archives", ignore_result=False)
def adopt_archives() -> dict[str, Any]:
    """Record archives that were made without us, in the places where some were adopted before."""
    return {"adopted": adopted_again()}


@shared_task(name="housekeeping.tidy_tiers", ignore_result=False)
def tidy_tiers(*, minutes: int = 30) -> dict[str, Any]:
    """Move archives from the hot tier to the warm and the cold one, and remove what is beyond the last."""
    checked(minutes=minutes)
    return upkeep.tiers_tidy(budget=Budget(minutes=minutes))


@shared_task(name="housekeeping.expire_backups", ignore_result=False)
def expire_backups(*, minutes: int = 10) -> dict[str, Any]:
    """Remove archives that the rules of keeping do not want any more; never the last good one."""
    checked(minutes=minutes)
    return upkeep.backups_expire(budget=Budget(minutes=minutes))


@shared_task(name="housekeeping.sweep_uploads", ignore_result=False)
def sweep_uploads(*, hours: int = 24) -> dict[str, Any]:
    """Abort uploads that were begun more than ``hours`` ago and that no run works on."""
    checked(hours=hours)
    return upkeep.rests_remove(hours=hours)
