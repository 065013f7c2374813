"""Schedules of a Watchbill without a ledger get theirs when it is upgraded, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from schedules.models import Schedule, SkipSpan
from schedules.services.ledger import ledger_audit
from schedules.services.schedules import schedule_enable
from tests.schedules.engine.conftest import ACTOR

BEFORE = ("schedules", "0001_initial")
NEXT = datetime(2026, 1, 1, 5, tzinfo=UTC)


def upgrade() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.fixture
def old(transactional_db: None) -> Iterator[Any]:
    """The models as they were."""
    executor = MigrationExecutor(connection)
    executor.migrate([BEFORE])
    yield MigrationExecutor(connection).loader.project_state([BEFORE, ("fleet", "0002_audit_append_only")]).apps
    upgrade()


def test_what_was_there_is_accounted_for(old: Any) -> None:
    organisation = old.get_model("fleet", "Organisation").objects.create(slug="main", name="Main")
    hourly = {
        "organisation": organisation,
        "kind": "cron",
        "expression": "0 * * * *",
        "anchor_at": NEXT,
        "active_from": NEXT,
        "next_run_at": NEXT,
        "executor": "test.trace",
        "created_by": "test",
    }
    schedules = old.get_model("schedules", "Schedule").objects
    watched = schedules.create(**hourly, name="watched")
    schedules.create(**hourly, name="paused", enabled=False, paused_reason="for a while")
    schedules.create(**hourly | {"kind": "manual", "expression": "@manually", "next_run_at": None}, name="by-hand")
    earlier = {"first_fire_at": NEXT - timedelta(hours=3), "last_fire_at": NEXT - timedelta(hours=1), "count": 3}
    old.get_model("schedules", "SkipSpan").objects.create(schedule=watched, reason="misfire", **earlier)

    upgrade()

    rows = {row.name: row for row in Schedule.objects.all()}
    assert {name: row.next_run_at for name, row in rows.items()} == {"watched": NEXT, "paused": None, "by-hand": None}
    assert SkipSpan.objects.get(schedule=rows["paused"]).detail == "for a while"
    resumed = schedule_enable(schedule=rows["paused"], actor=ACTOR)
    assert SkipSpan.objects.get(schedule=resumed).first_fire_at == NEXT
    for row in Schedule.objects.all():
        assert ledger_audit(row, after=NEXT - timedelta(days=1), through=row.planned_through).is_clean
