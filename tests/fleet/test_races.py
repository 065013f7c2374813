"""Two that take the same name at once: the second one is told, by its own refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError
from django.db.models.query import QuerySet

from fleet.actors import Actor
from fleet.errors import NameTaken
from fleet.models import Agent, ApiKey, AuditEntry, Organisation
from fleet.services.agents import agent_create, agent_update
from fleet.services.apikeys import apikey_create
from fleet.services.organisations import organisation_create

ACTOR = Actor.command("ann")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organisation() -> Organisation:
    organisation = organisation_create(slug="main", actor=ACTOR)
    agent_create(organisation=organisation, slug="one", container_name="one", actor=ACTOR)
    agent_create(organisation=organisation, slug="two", container_name="two", actor=ACTOR)
    apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)
    return organisation


def _agent(organisation: Organisation) -> None:
    agent_create(organisation=organisation, slug="one", actor=ACTOR)


def _container(organisation: Organisation) -> None:
    agent_create(organisation=organisation, slug="three", container_name="one", actor=ACTOR)


def _changed_agent(organisation: Organisation) -> None:
    agent_update(agent=Agent.objects.get(slug="two"), slug="one", actor=ACTOR)


def _changed_container(organisation: Organisation) -> None:
    agent_update(agent=Agent.objects.get(slug="two"), container_name="one", actor=ACTOR)


def _apikey(organisation: Organisation) -> None:
    apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)


def _organisation(organisation: Organisation) -> None:
    organisation_create(slug="main", actor=ACTOR)


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (_agent, "slug"),
        (_container, "container_name"),
        (_changed_agent, "slug"),
        (_changed_container, "container_name"),
        (_apikey, "name"),
        (_organisation, "slug"),
    ],
)
def test_a_name_that_was_taken_after_the_look(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, act: Callable[[Organisation], None], field: str
) -> None:
    before = AuditEntry.objects.count()
    with monkeypatch.context() as patched:
        patched.setattr(QuerySet, "exists", lambda _: False)  # the look saw nothing
        with pytest.raises(NameTaken) as refusal:
            act(organisation)
    assert refusal.value.field == field
    assert (Agent.objects.count(), ApiKey.objects.count(), AuditEntry.objects.count()) == (2, 1, before)


def test_another_fault_of_the_database_stays_one(organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.services.agents._check", lambda _: None)
    with pytest.raises(IntegrityError):
        agent_create(organisation=organisation, slug="four", max_concurrent_runs=0, actor=ACTOR)
