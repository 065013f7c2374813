"""A run without a schedule: judged as a schedule's is, admitted and published at once."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_client

from fleet.actors import Actor
from fleet.errors import Conflict, InvalidInput, NotFound
from fleet.models import Agent, AuditEntry, Organisation
from schedules.engine import slots
from schedules.models import Run
from schedules.services.runs import run_once

ME = Actor.command("me")


@pytest.fixture
def organisation(transactional_db: None, redis: redis_client.Redis) -> Organisation:
    slots.rebuild()
    return Organisation.objects.create(slug="acme", name="Acme")


def once(organisation: Organisation, **values: Any) -> Any:
    return run_once(
        organisation=organisation,
        actor=ME,
        **{"executor": "test.trace", "payload": {"trace": "/dev/null"}, "agent": None} | values,
    )


def test_it_starts_at_once(organisation: Organisation) -> None:
    requested = once(organisation)
    run = Run.objects.get()
    assert (requested.run, requested.note) == (run, "")
    assert (run.schedule, run.schedule_name, run.trigger, run.requested_by) == (None, "", "manual", "me")
    assert run.admission_token
    assert run.timeout_seconds == 3600
    assert AuditEntry.objects.filter(action="run.once").count() == 1


def test_what_no_schedule_could_have_is_refused(organisation: Organisation) -> None:
    for values, text in (
        ({"executor": "test.trce"}, "There is no executor"),
        ({"payload": {"trace": 5}}, "trace"),
        ({"executor": "restore.drill", "payload": {}}, "works on an agent"),
    ):
        with pytest.raises(InvalidInput, match=text):
            once(organisation, **values)
    assert not Run.objects.exists()
    other = Organisation.objects.create(slug="rival", name="Rival")
    theirs = Agent.objects.create(organisation=other, slug="lead", workspace_folder="/w")
    with pytest.raises(NotFound, match="no such agent"):
        once(organisation, executor="restore.drill", payload={}, agent=theirs)
    organisation.is_active = False
    with pytest.raises(Conflict, match="is closed"):
        once(organisation)


def test_the_hold_is_the_executors(organisation: Organisation) -> None:
    agent = Agent.objects.create(organisation=organisation, slug="lead", workspace_folder="/w")
    once(organisation, executor="workspace.restore", payload={}, agent=agent)
    assert Run.objects.get().hold == "exclusive"
