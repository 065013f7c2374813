"""A small fleet with two tenants, and executors that need no other floor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fleet.actors import Actor
from fleet.services.agents import agent_create
from fleet.services.organisations import member_set, organisation_create
from schedules.executors import registry
from schedules.executors.base import Executor, Payload, Result, RunContext
from schedules.services.schedules import schedule_create

ADDRESS = "10.9.8.7"
SYSTEM = Actor.system("tests")


class CommandPayload(Payload):
    command: str


class Command(Executor[CommandPayload]):
    key, title, queue = "test.command", "Command", "containers"
    payload_model = CommandPayload

    def execute(self, payload: CommandPayload, context: RunContext) -> Result:  # noqa: ARG002 - the contract's
        return Result(summary=payload.command)

    def check_payload(self, payload: CommandPayload, *, agent: Any) -> None:  # noqa: ARG002
        if not payload.command.startswith("docker exec "):
            raise ValueError("Only `docker exec CONTAINER COMMAND` can be run.")


@pytest.fixture
def command_executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It alone is found, whatever the other floors bring."""
    monkeypatch.setattr(registry, "discover", lambda *_: [Command])
    registry.executors.cache_clear()
    yield
    registry.executors.cache_clear()


@pytest.fixture
def fleet(transactional_db: None, command_executor: None, settings: Any, tmp_path: Path) -> dict[str, Any]:
    settings.STATIC_ROOT = tmp_path  # whitenoise warns of a folder that is not there
    ours, theirs = (organisation_create(slug=slug, actor=SYSTEM) for slug in ("ours", "theirs"))
    return {
        "ours": ours,
        "theirs": theirs,
        "agent": agent_create(organisation=ours, slug="night", container_name="night", actor=SYSTEM),
        "foreign_agent": agent_create(organisation=theirs, slug="day", container_name="day", actor=SYSTEM),
        "schedule": make(ours, "Nightly Backup", expression="0 2 * * *", timezone="Asia/Shanghai"),
        "foreign": make(theirs, "Their Backup"),
    }


def make(organisation: Any, display_name: str, **values: Any) -> Any:
    values = {"executor": "test.command", "payload": {"command": "docker exec night ls"}} | values
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
