"""The one model to which every reader leads: jobs and blackout calendars, as a person would write them.

Agents, calendars and the job that another one follows are named; what a document leaves out has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from schedules.engine.storable import storable_json
from schedules.exchange.problems import Problem
from schedules.timing import tidy_windows

# What every database can keep; the services know the range of each field.
_LARGEST = 2**31 - 1


def _instant(value: object) -> object:
    """RFC 3339 text to an instant in UTC."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not an instant; try 2026-03-01T02:00:00+08:00") from None
    if moment.utcoffset() is None:
        raise ValueError(f"has no offset; try {moment.isoformat()}Z, or +08:00 in place of Z")
    return utc


def instant_text(moment: datetime) -> str:
    """``2026-03-01T02:00:00Z``"""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _as_set(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _ordered(value: Any) -> Any:
    """Keys in the alphabet's order: PostgreSQL keeps them in an order of its own, SQLite as they came."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list | tuple) else value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant), PlainSerializer(instant_text)]
Reason = Annotated[str, Field(max_length=200)]
Whole = Annotated[int, Field(ge=0, le=_LARGEST)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_as_set)]
Delays = Annotated[tuple[Whole, ...], BeforeValidator(_listed)]


class _Document(BaseModel):
    # Strict: "3" is no number and 1 no truth; a typo in a name is seen.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unstorable(cls, values: Any) -> Any:
        texts = {name: value for name, value in values.items() if not isinstance(value, tuple | datetime)}
        if storable_json(texts) != texts:
            raise ValueError("text must not hold NUL or half of a surrogate pair")
        return values

    def changed_fields(self) -> dict[str, Any]:
        """Every field but the name that differs from its default, as JSON values in the model's order."""
        shown = self.model_dump(exclude={"name"}, exclude_defaults=True)
        return {name: _ordered(value) for name, value in shown.items()}


class JobDocument(_Document):
    """A schedule. The fields are those of ``schedules.models.Schedule``, in the order in which they are written."""

    name: str
    display_name: str
    description: str = ""
    enabled: bool = True
    paused_reason: Reason = ""
    expression: str = "@manually"
    timezone: str = "UTC"
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    max_runs: Whole | None = None
    run_after: str | None = None
    run_after_on: str = "success"
    blackouts: Names = ()
    agent: str | None = None
    executor: str
    payload: dict[str, Any] = {}
    timeout_seconds: Whole = 3600
    max_retries: Whole | None = None
    retry_delays: Delays = ()
    max_concurrent_runs: Whole = 1
    overlap: str = "skip"
    misfire: str = "run_latest"
    catchup_seconds: Whole = 900
    jitter_seconds: Whole = 0
    start_within_seconds: Whole | None = None
    pause_after_failures: Whole | None = None
    priority: Whole = 5

    @model_validator(mode="before")
    @classmethod
    def _called_by_its_name(cls, values: Any) -> Any:
        return values if values.get("display_name") else {**values, "display_name": values.get("name", "")}

    @model_validator(mode="after")
    def _reason_of_a_pause(self) -> JobDocument:
        if self.enabled and self.paused_reason:
            raise ValueError("paused_reason belongs to a paused job: add enabled: false, or leave it out")
        return self

    def changed_fields(self) -> dict[str, Any]:
        shown = super().changed_fields()
        return {name: value for name, value in shown.items() if (name, value) != ("display_name", self.name)}


class BlackoutDocument(_Document):
    """A calendar of times in which nothing starts: ``schedules.models.BlackoutCalendar``."""

    name: str
    timezone: str = "UTC"
    windows: Annotated[str, AfterValidator(tidy_windows)]
    for_all: bool = False


T = TypeVar("T", JobDocument, BlackoutDocument)


@dataclass(frozen=True, kw_only=True)
class Entry(Generic[T]):
    """What was read, where it stood (lines count from 1), and what of it could not be carried over."""

    value: T
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def line_of(self, name: str) -> int:
        """Of a field; of ``payload.keep`` that of the payload when it has none of its own."""
        return self.lines.get(name) or self.lines.get(name.partition(".")[0]) or self.line


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file, or an organisation. A section that a file leaves out (None) says nothing of what it would hold.

    What can't be taken is no entry but one of ``problems``: whoever uses a document judges the rest as well, so that
    all that is wrong is told at once, and takes nothing of it.
    """

    jobs: tuple[Entry[JobDocument], ...] | None = ()
    blackouts: tuple[Entry[BlackoutDocument], ...] | None = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def job_values(self) -> dict[str, JobDocument]:
        return {entry.value.name: entry.value for entry in self.jobs or ()}

    def blackout_values(self) -> dict[str, BlackoutDocument]:
        return {entry.value.name: entry.value for entry in self.blackouts or ()}
