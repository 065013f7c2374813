"""What both doors read beside an archive's own row."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery

from backups.models import Drill
from backups.querysets import BackupQuerySet


def with_drills(rows: BackupQuerySet) -> BackupQuerySet:
    """Each with ``drill_seconds``, the time of its newest drill that worked: its real RTO; None before there is one."""
    worked = Drill.objects.filter(backup=OuterRef("pk"), is_ok=True).order_by("-began_at", "-pk")
    return rows.annotate(drill_seconds=Subquery(worked.values("seconds")[:1]))
