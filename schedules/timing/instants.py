"""A point in time as a person types it: ISO 8601, in a zone where no offset is given."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.timing.errors import ExpressionError
from schedules.timing.rules import aware
from schedules.timing.spans import EPOCH, seconds_of
from schedules.timing.wallclock import reached

EXAMPLE = "2026-03-01T02:00:00+08:00"


def instant(text: str, *, zone: ZoneInfo, field: str = "from") -> datetime:
    """The instant in UTC. Without an offset it is read in `zone`; a date alone is its midnight.

    A time that comes twice there is the first of the two, a missing one the first instant after the gap, as a fire's.
    Anything else is an ExpressionError of `field`.
    """
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        if moment.utcoffset() is not None:
            return aware(moment)
        exact = aware(moment.replace(tzinfo=zone))
        if exact.astimezone(zone).replace(tzinfo=None) == moment:
            return exact
        return EPOCH + timedelta(seconds=reached(zone, seconds_of(moment.replace(tzinfo=UTC))))
    except (ValueError, OverflowError):
        reason = "is not a time in ISO 8601 (an offset such as Z or +08:00 may be left out)"
        raise ExpressionError(field=field, value=text, reason=reason, example=EXAMPLE) from None
