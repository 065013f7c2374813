"""The one clock of the engine: the database's. Two hosts may disagree; their database does not."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """The present instant, aware, UTC. On SQLite the host's clock is the database's."""
    if connection.vendor != "postgresql":
        return datetime.now(tz=UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


def statement_now() -> datetime | None:
    """For statements that can read the database's clock themselves, and spare a round trip: None on PostgreSQL."""
    return None if connection.vendor == "postgresql" else database_now()
