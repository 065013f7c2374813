"""Fixtures for every floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client

from tests.environment import REDIS_PORT

# Their assertions are rewritten when they are loaded as plugins, so nothing of them is imported at the top.
pytest_plugins = ["tests.console", "tests.docker_engine", "tests.s3_servers", "tests.servers"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """PostgreSQL drops no database that a session uses: threads of the keeper, which live as long as a worker does, may
    have kept theirs when a run took long."""
    from django.db import connection

    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


@pytest.fixture(scope="session")
def redis_of_settings() -> Iterator[str]:
    """A real Redis where ``settings.WATCHBILL.redis_url`` points; its URL."""
    from tests.servers import folder, running_redis

    with folder("redis") as path, running_redis(path, port=REDIS_PORT) as server:
        yield server.url


@pytest.fixture
def redis(redis_of_settings: str) -> Iterator[redis_client.Redis]:
    """That Redis, empty: no epoch, no slots, no messages."""
    with redis_client.Redis.from_url(redis_of_settings) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def redis_down(settings: Any) -> None:
    """Nobody listens there, whatever other tests have started."""
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, redis_url="redis://127.0.0.1:1/0")
