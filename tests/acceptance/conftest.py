"""Whole watches, on SQLite and on PostgreSQL, each with its own Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Watch, watching


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database: a file of the data folder, or one of a real server."""
    if request.param == "sqlite":
        return ""
    import psycopg

    server = request.getfixturevalue("postgres_url")
    name = f"watch_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    head, _, tail = server.partition("?")
    base = head.rpartition("/")[0] + f"/{name}"
    return f"{base}?{tail}" if tail else base


@pytest.fixture
def watch(tmp_path: Path, database_url: str) -> Iterator[Watch]:
    """A watch with short leases, so that a rescue takes seconds."""
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as redis:
        environment = {"REDIS_URL": redis.url, "LEASE_SECONDS": "4", "HEARTBEAT_SECONDS": "1", "LEADER_SECONDS": "3"}
        if database_url:
            environment["DATABASE_URL"] = database_url
        with watching(tmp_path, environment) as watch:
            yield watch
