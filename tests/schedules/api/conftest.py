"""Two organisations, callers with every kind of right, and a Redis that is away unless a test asks for a real one."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from redis import Redis
from rest_framework.test import APIClient

from fleet.actors import Actor
from fleet.models import Agent, Organisation
from fleet.services.agents import agent_create
from fleet.services.apikeys import apikey_create
from fleet.services.organisations import member_set, organisation_create
from schedules.models import Schedule
from schedules.services.schedules import schedule_create
from tests.schedules.past import BORN, live

ACTOR = Actor.system("test")
NewSchedule = Callable[..., Schedule]
NewKey = Callable[..., str]
NewClient = Callable[..., APIClient]


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def no_collected_files(settings: Any, tmp_path: Path) -> None:
    """WhiteNoise warns of a folder that nobody has filled."""


@pytest.fixture(autouse=True)
def redis_away(settings: Any) -> None:
    """A closed port: no test reaches a Redis that happens to run on this host."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, redis_url=url)


@pytest.fixture
def real_redis(redis_away: None, redis: Redis, redis_of_settings: str, settings: Any) -> Redis:
    """A real Redis for slots and messages."""
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, redis_url=redis_of_settings)
    return redis


@pytest.fixture
def org(db: None) -> Organisation:
    return organisation_create(slug="acme", actor=ACTOR)


@pytest.fixture
def other_org(db: None) -> Organisation:
    return organisation_create(slug="rival", actor=ACTOR)


@pytest.fixture
def agent(org: Organisation) -> Agent:
    return agent_create(organisation=org, slug="night", actor=ACTOR)


@pytest.fixture
def new_schedule(org: Organisation, tmp_path: Path) -> NewSchedule:
    def make(name: str = "nightly", **values: Any) -> Schedule:
        defaults = {
            "organisation": org,
            "display_name": name,
            "executor": "test.trace",
            "payload": {"trace": str(tmp_path / "trace")},
            "actor": ACTOR,
        }
        return schedule_create(**{**defaults, "name": name, **values})

    return make


@pytest.fixture
def new_key() -> NewKey:
    def make(organisation: Organisation, *scopes: str, **values: Any) -> str:
        name = values.pop("name", " ".join(scopes))
        return apikey_create(organisation=organisation, name=name, scopes=scopes, actor=ACTOR, **values).secret

    return make


@pytest.fixture
def client_with(org: Organisation, new_key: NewKey) -> NewClient:
    """A client with an API key of these scopes."""

    def make(*scopes: str, organisation: Organisation = org) -> APIClient:
        client = APIClient(REMOTE_ADDR="192.0.2.7")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {new_key(organisation, *scopes)}")
        return client

    return make


@pytest.fixture
def api(client_with: NewClient) -> APIClient:
    """A client that may do everything with the schedules of ``acme``."""
    return client_with("schedules:read", "schedules:write", "schedules:run", "schedules:delete")


@pytest.fixture
def stranger(client_with: NewClient, other_org: Organisation) -> APIClient:
    """May do everything, in another organisation."""
    scopes = ("schedules:read", "schedules:write", "schedules:run", "schedules:delete")
    return client_with(*scopes, organisation=other_org)


@pytest.fixture
def member(org: Organisation) -> Callable[..., Any]:
    """A person with a role."""

    def make(role: str = "admin", *, username: str = "ada", organisation: Organisation = org) -> Any:
        users = get_user_model().objects
        user = users.filter(username=username).first() or users.create_user(username, password="a good password")
        member_set(organisation=organisation, username=username, role=role, actor=ACTOR)
        return user

    return make


@pytest.fixture
def body(tmp_path: Path) -> dict[str, Any]:
    """What creates a schedule."""
    return {
        "display_name": "Nightly backup",
        "expression": "0 2 * * *",
        "timezone": "Asia/Shanghai",
        "executor": "test.trace",
        "payload": {"trace": str(tmp_path / "trace")},
    }


@pytest.fixture
def lived(new_schedule: NewSchedule) -> Iterator[Schedule]:
    """The job ``hourly`` with the past of ``tests.schedules.past``; the clock stands at its end."""
    with time_machine.travel(BORN, tick=False) as traveller:
        yield live(traveller, lambda: new_schedule("hourly", expression="0 * * * *", timezone="Asia/Shanghai"))
