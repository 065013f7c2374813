"""The engine's own rows in the admin: read by operators, changed by nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client

from schedules.engine.clock import database_now
from schedules.engine.events import engine_event
from schedules.models import EngineEvent, SkipSpan, WorkerProcess

EVENTS = "/admin/schedules/engineevent/"


def test_engine_events_are_shown_newest_first_and_changed_by_nobody(boss: Client, staff: Any) -> None:
    now = database_now()
    engine_event(EngineEvent.Kind.LEADER, "one leads", at=now - timedelta(minutes=1))
    engine_event(EngineEvent.Kind.SLOTS_REBUILT, "of 3 runs that hold them", at=now)
    page = boss.get(EVENTS).content.decode()
    assert page.index("the slots were rebuilt from the database") < page.index("one leads")
    event = EngineEvent.objects.first()
    assert event
    assert boss.get(f"{EVENTS}{event.pk}/change/").status_code == 200
    assert boss.get(f"{EVENTS}add/").status_code == 403
    assert boss.post(f"{EVENTS}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert EngineEvent.objects.count() == 2


def test_a_worker_that_drains_says_so(boss: Client) -> None:
    now = database_now()
    WorkerProcess.objects.create(name="one@host", slots=2, at_work=1, started_at=now, seen_at=now, drains_since=now)
    page = boss.get("/admin/schedules/workerprocess/").content.decode()
    assert "Drains" in page


def test_the_ledger_page_says_what_is_no_longer_kept(clock: Any, lived: Any, boss: Client) -> None:
    first = SkipSpan.objects.filter(schedule=lived).order_by("first_fire_at")[0]
    SkipSpan.objects.filter(pk=first.pk).update(reason="pruned")
    page = boss.get(f"/admin/schedules/schedule/{lived.pk}/ledger/").content.decode()
    assert "No longer kept" in page
    assert "what became of it is no longer kept" in page
