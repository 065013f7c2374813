"""Records of restore drills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from backups.models import Backup, Drill
from monitoring.services import alert_raise, alert_resolve
from schedules.engine.clock import database_now


@transaction.atomic(durable=True)
def drill_record(
    *, backup: Backup, job_run_id: str, began_at: datetime, seconds: float, problem: str, checks: dict[str, Any]
) -> Drill:
    """What a drill found. ``problem`` is empty for a restore that worked; people hear of one that did not."""
    drill = Drill.objects.create(
        backup=backup,
        job_run_id=job_run_id,
        began_at=began_at,
        seconds=seconds,
        is_ok=not problem,
        problem=problem,
        checks=checks,
    )
    key = f"drill.failed:{backup.agent_slug}:{backup.kind}"
    if problem:
        alert_raise(
            organisation=backup.organisation,
            key=key,
            severity="critical",
            title=f"A restore drill of {backup.agent_slug} failed",
            detail=f"{backup.name} could not be restored: {problem} Until a drill succeeds, count on an older backup: "
            f"`manage.py backup report --agent {backup.agent_slug}`.",
        )
    else:
        Backup.objects.filter(pk=backup.pk).update(drilled_at=database_now())
        alert_resolve(organisation=backup.organisation, key=key)
    return drill
