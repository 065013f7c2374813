"""A point in time as a person types it: ISO 8601, in a zone where no offset is given."""

from datetime import datetime
from zoneinfo import ZoneInfo

from schedules.timing.errors import ExpressionError
from schedules.timing.rules import aware

EXAMPLE = "2026-03-01T02:00:00+08:00"


def instant(text: str, *, zone: ZoneInfo, field: str = "from") -> datetime:
    """The instant in UTC. Without an offset it is read in `zone`; a date alone is its midnight.

    A time that comes twice there is the first of the two, a missing one counts with the offset before the gap.
    Anything else is an ExpressionError of `field`.
    """
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        return aware(moment if moment.utcoffset() is not None else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        reason = "is not a time in ISO 8601 (an offset such as Z or +08:00 may be left out)"
        raise ExpressionError(field=field, value=text, reason=reason, example=EXAMPLE) from None
