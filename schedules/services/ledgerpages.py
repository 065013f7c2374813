"""A page of the ledger for a reader: the records of a range, and whether they cover it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.errors import Conflict, InvalidInput
from schedules import timing
from schedules.models import Schedule
from schedules.services.checks import check_instant
from schedules.services.ledger import Audit, Entry, expected_count, ledger_audit, ledger_entries

#: A reader waits for the verdict: above so many fires they are counted, not checked.
MOST_CHECKED = 50_000
USUAL_RANGE = timedelta(days=7)
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class LedgerPage:
    """The records of (``after``, ``through``], the latest first.

    ``older`` is the ``through`` of the page behind this one, None when this was all. ``audit`` is the verdict on the
    whole range, None when there is none; ``unchecked`` says why, or which part of the range it leaves out.
    """

    after: datetime
    through: datetime
    entries: Sequence[Entry]
    older: datetime | None
    audit: Audit | None
    unchecked: str = ""


def ledger_page(
    schedule: Schedule, *, now: datetime, after: datetime | None = None, through: datetime | None = None, limit: int
) -> LedgerPage:
    """The latest ``limit`` records of a range, which ends now and takes a week unless told otherwise.

    What is to come is no part of the ledger: the range ends at ``now`` at the latest. Raises :class:`InvalidInput`,
    or :class:`Conflict` when the schedule was damaged so that its open span can't be counted.
    """
    for field, moment in (("after", after), ("through", through)):
        if moment is not None:
            check_instant(field, moment)
    end = min(through or now, now)
    begin = after or end - USUAL_RANGE
    if begin >= end:
        raise InvalidInput(
            f"The range begins at {begin.isoformat()} and ends at {end.isoformat()}: nothing lies between. "
            "Name an earlier begin.",
            field="after",
        )
    try:
        found = ledger_entries(schedule, after=begin, through=end, limit=limit + 1)
    except timing.ExpressionError as error:
        raise Conflict(f"{schedule.name} can't be read: {error}.") from error
    audit, unchecked = _verdict(schedule, begin, end)
    return LedgerPage(
        after=begin,
        through=end,
        entries=found[:limit],
        older=found[limit - 1].first - _MOMENT if len(found) > limit else None,
        audit=audit,
        unchecked=unchecked,
    )


def _verdict(schedule: Schedule, after: datetime, through: datetime) -> tuple[Audit | None, str]:
    try:
        count = expected_count(schedule, after=after, through=through)
        if count > MOST_CHECKED:
            return None, f"{count} fires were expected; up to {MOST_CHECKED} are checked. Choose a shorter range."
        audit = ledger_audit(schedule, after=after, through=through)
    except timing.ExpressionError as error:
        return None, f"Its fires can't be computed: {error}."
    waits = schedule.enabled and schedule.next_run_at is not None and schedule.next_run_at <= through
    return audit, "Fires that are due and not planned yet are left out." if waits else ""
