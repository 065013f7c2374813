"""What both doors read beside an archive's own row."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery

from backups.models import Drill
from backups.querysets import BackupQuerySet


def with_drills(rows: BackupQuerySet) -> BackupQuerySet:
    """Each with ``drill_seconds``, the time of its newest drill that worked: its real RTO; and ``drill_is_ok``, whether
    the very newest did. None before there is one."""
    drills = Drill.objects.filter(backup=OuterRef("pk")).order_by("-began_at", "-pk")
    return rows.annotate(
        drill_seconds=Subquery(drills.filter(is_ok=True).values("seconds")[:1]),
        drill_is_ok=Subquery(drills.values("is_ok")[:1]),
    )
