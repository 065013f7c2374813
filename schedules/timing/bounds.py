"""Start and end dates of a schedule: its rule, seen through a window."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schedules.timing.rules import Kind, Rule, aware

_TICK = timedelta.resolution
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


def within(rule: Rule, *, starts_at: datetime | None, ends_at: datetime | None) -> Rule:
    """The same rule, limited to starts_at <= fire <= ends_at; None leaves that side open.

    The fires themselves stay where they are: an interval keeps counting from its anchor.
    """
    if starts_at is None and ends_at is None:
        return rule
    first = _EARLIEST if starts_at is None else aware(starts_at)
    through = _LATEST if ends_at is None else aware(ends_at)
    return BoundedRule(expression=rule.expression, timezone=rule.timezone, rule=rule, first=first, through=through)


@dataclass(frozen=True, kw_only=True)
class BoundedRule(Rule):
    """`rule`'s fires of [first, through]."""

    rule: Rule
    first: datetime
    through: datetime

    @property
    def kind(self) -> Kind:
        return self.rule.kind

    def _next(self, moment: datetime) -> datetime | None:
        following = self.rule.next_after(self._after(moment))
        return following if following is not None and following <= self.through else None

    def _fires(self, after: datetime, through: datetime) -> Iterator[datetime]:
        return self.rule.fires(self._after(after), min(through, self.through))

    def _count(self, after: datetime, through: datetime) -> int:
        return self.rule.count(self._after(after), min(through, self.through))

    def _last(self, after: datetime, through: datetime) -> datetime | None:
        return self.rule.last(self._after(after), min(through, self.through))

    def _after(self, moment: datetime) -> datetime:
        """The start itself may fire; nothing can before the first instant that there is."""
        return max(moment, self.first - _TICK) if self.first > _EARLIEST else moment
