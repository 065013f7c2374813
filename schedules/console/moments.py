"""Times after ``--from`` and in JSON."""

from __future__ import annotations

from datetime import UTC, datetime

ISO_HELP = "ISO 8601, such as 2026-03-29T01:00; without an offset it is read in"


def utc_text(moment: datetime) -> str:
    """``2026-02-25T18:00:00Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
