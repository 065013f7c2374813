"""The edges that every run takes, in raw SQL: admitted, claimed, succeeded. Only ``lifecycle``, whose part it is, calls
it.

On PostgreSQL each is one statement with its event, by primary key, and reads the database's clock itself when no
moment is given; on SQLite it is one short transaction. Through the ORM the same edges took four times as long.
``tests/schedules/engine/test_lifecycle.py`` runs on both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

from django.db import connection, models, transaction

from fleet.models import Agent, Organisation
from schedules.engine import hotpath_sql as sql
from schedules.engine.statements import fetch, is_postgresql
from schedules.models import Backfill, Run, Schedule


class Admissible(Protocol):
    """What is needed of a run to admit it."""

    @property
    def pk(self) -> int: ...
    @property
    def attempt(self) -> int: ...


def admit(runs: Sequence[Admissible], tokens: Sequence[str], now: datetime) -> dict[int, str]:
    """Set the tokens of those that still wait. Returns the tokens of the winners by primary key."""
    if is_postgresql():
        given = [[run.pk for run in runs], [run.attempt for run in runs], list(tokens)]
        return dict(fetch(sql.ADMIT, [now, *given]))
    asked = json.dumps([(run.pk, run.attempt) for run in runs])
    token_of = {run.pk: token for run, token in zip(runs, tokens, strict=True)}
    with transaction.atomic(), connection.cursor() as cursor:
        at = _stored(now)
        cursor.execute(sql.ADMISSIBLE_ROWS, [asked, at])
        won = cursor.fetchall()
        cursor.executemany(sql.ADMIT_ROW, [(token_of[pk], at, pk) for pk, _ in won])
        events = [(pk, at, "admitted", "queued", attempt, sql.ADMITTED_CAUSE) for pk, attempt in won]
        cursor.executemany(sql.EVENT_ROW, events)
    return {pk: token_of[pk] for pk, _ in won}


@dataclass(frozen=True, kw_only=True)
class Claiming:
    """What a claim has to match, and what it writes."""

    run_id: int
    attempt: int
    admission_token: str
    claim_token: str
    worker: str

    @property
    def matches(self) -> list[int | str]:
        return [self.run_id, self.attempt, self.admission_token]

    @property
    def writes(self) -> list[str]:
        return [self.claim_token, self.worker]

    @property
    def cause(self) -> str:
        return f"by {self.worker}"


def claim(wanted: Claiming, now: datetime | None) -> Run | None:
    """The run with all that limits it, claimed; None when run, attempt and token match no more.

    Its organisation, schedule and backfill are loaded as far as a worker reads them.
    """
    if is_postgresql():
        rows = fetch(_with_columns(sql.CLAIM), [now, *wanted.writes, *wanted.matches, wanted.cause])
        return _built(rows[0]) if rows else None
    assert now is not None  # noqa: S101 - only PostgreSQL's statements read a clock of their own
    with transaction.atomic(), connection.cursor() as cursor:
        return _claim_row(cursor, wanted, now)


def _claim_row(cursor: Any, wanted: Claiming, now: datetime) -> Run | None:
    cursor.execute(_with_columns(sql.SELECT_ADMITTED), wanted.matches)
    if not (row := cursor.fetchone()):
        return None
    run = _built(row)
    run.status, run.admission_token, run.admitted_at = Run.Status.RUNNING, "", None
    run.claim_token, run.worker, run.started_at = wanted.claim_token, wanted.worker, now
    run.deadline_at = now + timedelta(seconds=run.timeout_seconds)
    run.heartbeat_sequence += 1
    at = _stored(now)
    cursor.execute(sql.CLAIM_ROW, [run.claim_token, run.worker, at, _stored(run.deadline_at), run.pk])
    _event(cursor, run.pk, at, "started", "running", run.attempt, wanted.cause)
    return run


def renew(claims: Sequence[tuple[int, str]]) -> set[str]:
    """Raise the heartbeat of these (run, claim token). Returns the tokens that are still valid."""
    if is_postgresql():
        rows = fetch(sql.RENEW, [[pk for pk, _ in claims], [token for _, token in claims]])
        return {token for (token,) in rows}
    valid = set()
    with transaction.atomic(), connection.cursor() as cursor:
        for pk, token in claims:
            cursor.execute(sql.RENEW_ROW, [pk, token])
            if cursor.rowcount:
                valid.add(token)
    return valid


@dataclass(frozen=True, kw_only=True)
class Success:
    """What is written of an attempt that succeeded: (summary, session id, message id), details, the event's cause."""

    texts: Sequence[str]
    details: object
    cause: str


def succeed(
    run: Run, success: Success, now: datetime | None, *, following: Claiming | None = None
) -> tuple[dict[str, Any] | None, Run | None]:
    """The end of an attempt that succeeded, when no schedule follows it; with it the claim of the next run.

    Returns what was written of time, and the run that was claimed. The former is None when the claim is lost, or a
    schedule follows this one: then nothing was written, nothing claimed, and the ordinary way decides.
    """
    writes: list[Any] = [*success.texts, json.dumps(success.details), run.pk, run.claim_token]
    if not is_postgresql():
        return _succeed_row(run, success, writes, now, following)
    given = [now, *writes, success.cause]
    if following is None:
        rows = fetch(sql.SUCCEED, given)
    else:
        claiming = [*following.matches, *following.writes, following.cause]
        rows = fetch(_with_columns(sql.SUCCEED_AND_CLAIM), [*given, *claiming])
    return _ended(rows[0]) if rows else (None, None)


def _succeed_row(
    run: Run, success: Success, writes: Sequence[Any], now: datetime | None, following: Claiming | None
) -> tuple[dict[str, Any] | None, Run | None]:
    assert now is not None  # noqa: S101 - only PostgreSQL's statements read a clock of their own
    assert run.started_at is not None  # noqa: S101 - a claimed run was started
    duration = max(0, round((now - run.started_at) / timedelta(milliseconds=1)))
    with transaction.atomic(), connection.cursor() as cursor:
        at = _stored(now)
        cursor.execute(sql.SUCCEED_ROW, [at, duration, *writes])
        if not cursor.rowcount:
            return None, None
        _event(cursor, run.pk, at, "success", "success", run.attempt, success.cause)
        claimed = _claim_row(cursor, following, now) if following else None
    return {"finished_at": now, "duration_ms": duration}, claimed


def _ended(row: Sequence[Any]) -> tuple[dict[str, Any], Run | None]:
    finished_at, duration_ms, *claimed = row
    is_claimed = bool(claimed) and claimed[0] is not None
    return {"finished_at": finished_at, "duration_ms": int(duration_ms)}, _built(claimed) if is_claimed else None


def _event(cursor: Any, *values: object) -> None:
    cursor.execute(sql.EVENT_ROW, values)


def _stored(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _meta(model: type[models.Model]) -> Any:
    return model._meta  # noqa: SLF001 - Django documents it


class _Part:
    """The columns of one model in a joined row, and how to build an instance of them."""

    def __init__(self, model: type[models.Model], alias: str, *names: str) -> None:
        self.model = model
        self.fields = [field for field in _meta(model).concrete_fields if not names or field.attname in names]
        self.names = [field.attname for field in self.fields]
        self.sql = [f"{alias}.{field.column}" for field in self.fields]

    def converters(self) -> list[tuple[int, Any, Any]]:
        """(place, converter, expression) of the columns that the driver does not give as Python wants them."""
        found = []
        for place, field in enumerate(self.fields):
            column = field.get_col(_meta(self.model).db_table)
            converters = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]
            found += [(place, converter, column) for converter in converters]
        return found

    def built(self, row: Sequence[Any], converters: Iterable[tuple[int, Any, Any]]) -> Any:
        """None for the empty side of an outer join."""
        if row[0] is None:
            return None
        values = list(row)
        for place, converter, column in converters:
            values[place] = converter(values[place], column, connection)
        return self.model.from_db(connection.alias, self.names, values)


@cache
def _parts() -> list[tuple[str, _Part]]:
    return [
        ("", _Part(Run, "r")),
        ("organisation", _Part(Organisation, "o", "id", "slug", "max_concurrent_runs")),
        ("schedule", _Part(Schedule, "s", "id", "max_concurrent_runs", "pause_after_failures")),
        ("backfill", _Part(Backfill, "b", "id", "max_concurrent_runs")),
        ("agent", _Part(Agent, "a")),
    ]


@cache
def _converters(_vendor: str) -> list[list[tuple[int, Any, Any]]]:
    return [part.converters() for _, part in _parts()]


@cache
def _columns() -> str:
    return ", ".join(column for _, part in _parts() for column in part.sql)


@cache
def _with_columns(statement: str) -> str:
    return statement.replace("{columns}", _columns())


def _built(row: Sequence[Any]) -> Run:
    built, at = [], 0
    for (_, part), converters in zip(_parts(), _converters(connection.vendor), strict=True):
        built.append(part.built(row[at : at + len(part.fields)], converters))
        at += len(part.fields)
    run: Run = built[0]
    for (name, _), related in zip(_parts()[1:], built[1:], strict=True):
        setattr(run, name, related)
    return run
