"""A small fleet with two tenants."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fleet.actors import Actor
from fleet.services.agents import agent_create
from fleet.services.organisations import member_set, organisation_create
from schedules.services.schedules import schedule_create

ADDRESS = "10.9.8.7"
SYSTEM = Actor.system("tests")


@pytest.fixture
def fleet(transactional_db: None, redis_down: None) -> dict[str, Any]:
    ours, theirs = (organisation_create(slug=slug, actor=SYSTEM) for slug in ("ours", "theirs"))
    agents = {
        "agent": agent_create(organisation=ours, slug="night", container_name="night", actor=SYSTEM),
        "foreign_agent": agent_create(organisation=theirs, slug="day", container_name="day", actor=SYSTEM),
    }
    return {
        "ours": ours,
        "theirs": theirs,
        **agents,
        "schedule": make(ours, "Nightly Backup", expression="0 2 * * *", timezone="Asia/Shanghai"),
        "foreign": make(theirs, "Their Backup", payload={"command": "docker exec day ls"}),
    }


def make(organisation: Any, display_name: str, **values: Any) -> Any:
    values = {"executor": "container.command", "payload": {"command": "docker exec night ls"}} | values
    return schedule_create(organisation=organisation, display_name=display_name, actor=SYSTEM, **values)


@pytest.fixture
def boss(fleet: dict[str, Any]) -> Client:
    return logged_in(User.objects.create_superuser("boss", password="x"))


@pytest.fixture
def staff(fleet: dict[str, Any]) -> Any:
    """``staff(role)``: the browser of a person with that role in our organisation only."""

    def with_role(role: str) -> Client:
        user = User.objects.create_user(f"{role}-person", password="x", is_staff=True)
        member_set(organisation=fleet["ours"], username=user.username, role=role, actor=SYSTEM)
        return logged_in(user)

    return with_role


def logged_in(user: User) -> Client:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    return client
