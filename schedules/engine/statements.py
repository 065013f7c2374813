"""How the engine's own SQL is executed: without the ORM, and on PostgreSQL prepared on the server.

Planning a statement there costs more than executing it. What the databases write differently: ``{moment}`` is a
point in time as a parameter (``{moment_or_clock}``: the database's own clock when it is None), ``{nothing}`` the empty
JSON object, ``{position}(text, part)`` where a part begins, from 1, or 0. ``{by run_waiting}`` behind a table names the
index to SQLite, which has no statistics of a young table and then takes whichever of two looks narrower.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def fetch(text: str, parameters: Sequence[object] = (), *, by_value: bool = False) -> list[Any]:
    """Execute a statement and return its rows.

    ``by_value``: plan it anew for these parameters. Where how many rows there are depends on them ("due until now"), a
    plan that has to suit every value reads the whole table.
    """
    values = [_stored(value) for value in parameters]
    if by_value or not is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(_written(text, connection.vendor), values)
            return list(cursor.fetchall())
    import psycopg  # noqa: PLC0415 - a watch on SQLite does without

    connection.ensure_connection()
    session = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(session) as cursor, _preparing(session):
        cursor.execute(_written(text, "postgresql").encode(), values, prepare=True)
        return cursor.fetchall()


@contextmanager
def _preparing(session: Any) -> Iterator[None]:
    """Django forbids a connection to prepare statements, since it writes their values into the text; ours may."""
    _keep_plans_fresh(session)
    session.prepare_threshold = 0
    try:
        yield
    finally:
        session.prepare_threshold = None


# How long a session keeps its plans. One that was made for an empty table reads the whole of a full one, ten times as
# long, until PostgreSQL happens to look at the table's statistics.
PLAN_SECONDS = 2.0
_planned: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def _keep_plans_fresh(session: Any) -> None:
    """One plan for each of our statements, whatever the values: they look rows up by index. Made anew now and then.

    Of the ORM's statements none is prepared, so that they are planned as ever.
    """
    now, since = time.monotonic(), _planned.get(session)
    if since is None:
        session.execute("SET plan_cache_mode = force_generic_plan")
    elif now - since > PLAN_SECONDS:
        session.execute("DISCARD PLANS")
    else:
        return
    _planned[session] = now


def moment_of(value: datetime | str) -> datetime:
    """A column of time as SQL gave it: SQLite's are naive UTC, or texts where they were computed."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stored(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


_BY_INDEX = re.compile(r"\{by (\w+)\}")


@cache
def _written(text: str, vendor: str) -> str:
    if vendor == "postgresql":
        text = text.replace("{moment_or_clock}", "COALESCE({moment}, clock_timestamp())")
        text = text.replace("{moment}", "%s::timestamptz").replace("{nothing}", "'{}'::jsonb")
        return _BY_INDEX.sub("", text.replace("{position}", "strpos"))
    text = text.replace("{moment_or_clock}", "{moment}").replace("{moment}", "%s").replace("{nothing}", "'{}'")
    return _BY_INDEX.sub(r"INDEXED BY \1", text.replace("{position}", "instr"))
