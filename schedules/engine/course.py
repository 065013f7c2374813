"""Where a schedule stands: which fires it expects, and what comes after those that are accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schedules import timing
from schedules.models import Schedule, SkipSpan

Reason = SkipSpan.Reason


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Consecutive fires that become no run, for one reason. Open (no last, no count): every one from the first on."""

    reason: str
    first: datetime
    last: datetime | None = None
    count: int | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What follows: the next fire to plan, or the open span that covers all that would follow, or neither."""

    next_run_at: datetime | None = None
    open: Skip | None = None


class Timed(Protocol):
    """What a rule is made of: a schedule, or a revision of one."""

    expression: str
    timezone: str
    name: str
    anchor_at: datetime
    starts_at: datetime | None
    ends_at: datetime | None


def timed_rule(timed: Timed) -> timing.Rule:
    """The rule of the expression, without start and end dates. Raises ``timing.ExpressionError``."""
    return timing.parse(timed.expression, timezone=timed.timezone, job_name=timed.name, anchor=timed.anchor_at)


def expected_rule(timed: Timed) -> timing.Rule:
    """The fires that the ledger has to account for. Raises ``timing.ExpressionError``."""
    rule = timed_rule(timed)
    return timing.within(rule, starts_at=timed.starts_at, ends_at=None) if timed.starts_at else rule


def planned_rule(timed: Timed) -> timing.Rule:
    """The expected fires through the end date: those that may become runs. Raises ``timing.ExpressionError``."""
    rule = expected_rule(timed)
    return timing.within(rule, starts_at=None, ends_at=timed.ends_at) if timed.ends_at else rule


def course_after(schedule: Schedule, through: datetime, planned_runs: int) -> Course:
    """What follows ``through`` when so many fires have become runs."""
    fire = expected_rule(schedule).next_after(through)
    if fire is None:
        return Course()
    if not schedule.enabled:
        return Course(open=Skip(reason=Reason.PAUSED, first=fire, detail=schedule.paused_reason))
    if schedule.max_runs is not None and planned_runs >= schedule.max_runs:
        return Course(open=Skip(reason=Reason.LIMIT, first=fire, detail=f"{schedule.max_runs} runs"))
    if schedule.ends_at is not None and fire > schedule.ends_at:
        return Course(open=Skip(reason=Reason.ENDED, first=fire))
    return Course(next_run_at=fire)
