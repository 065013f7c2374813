"""Times as they are typed after ``--from``."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.errors import InvalidInput
from schedules.timing import ExpressionError, check_timezone
from schedules.timing.instants import instant

ISO_HELP = "ISO 8601, such as 2026-03-29T01:00; without an offset it is read in"


def moment_of(text: str | None, zone: str) -> datetime | None:
    """What ``--from`` names, read in this zone where it has no offset; None when it was not given.

    Raises :class:`InvalidInput`.
    """
    if text is None:
        return None
    try:
        return instant(text, zone=check_timezone(zone))
    except ExpressionError as error:
        raise InvalidInput(f"--{error}", field="from") from error


def utc_text(moment: datetime) -> str:
    """``2026-02-25T18:00:00Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
