"""What of an agent reaches into the host is set by the operator of the host alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client, RequestFactory
from rest_framework.request import Request

from fleet.actors import Actor
from fleet.admin.access import actor_of
from fleet.caller import caller_of
from fleet.errors import NotAllowed
from fleet.models import Agent
from fleet.services.agents import HOST_FIELDS, agent_create, agent_update
from fleet.services.apikeys import apikey_create
from tests.fleet.test_admin import agent_form

MEMBER = Actor(kind="user", label="ann", id=7)
VALUES = {
    "container_name": "watchbill-postgres",
    "workspace_folder": "/etc",
    "state_folder": "/root",
    "secret_refs": {"token": "env:SECRET_KEY"},
}


def test_who_reaches_the_host(fleet: dict[str, Any]) -> None:
    assert Actor.command("ann").reaches_host
    assert Actor.system("worker").reaches_host
    assert not MEMBER.reaches_host
    request = RequestFactory().get("/")
    for superuser in (True, False):
        request.user = User(username="ann", is_superuser=superuser)
        assert actor_of(request).reaches_host is superuser


def test_who_reaches_the_host_through_the_api(fleet: dict[str, Any], staff: Any) -> None:
    staff("owner")
    boss = User.objects.create_superuser("chief", password="x")
    key = apikey_create(organisation=fleet["ours"], name="ci", scopes=["agents:write"], actor=Actor.system("t")).key
    for user, auth, reaches in (
        (boss, None, True),
        (User.objects.get(username="owner-person"), None, False),
        (AnonymousUser(), key, False),
    ):
        request = Request(RequestFactory().get("/", HTTP_X_ORGANISATION="ours"))
        request.user, request.auth = user, auth
        assert caller_of(request).actor.reaches_host is reaches


@pytest.mark.parametrize("field", HOST_FIELDS)
def test_a_member_sets_none_of_it(fleet: dict[str, Any], field: str) -> None:
    with pytest.raises(
        NotAllowed, match=rf"operator of the host may set {field}: .*manage.py agent edit new --"
    ) as caught:
        agent_create(organisation=fleet["ours"], slug="new", actor=MEMBER, **{field: VALUES[field]})
    assert caught.value.field == field
    with pytest.raises(NotAllowed) as caught:
        agent_update(agent=fleet["agent"], actor=MEMBER, **{field: VALUES[field]})
    assert caught.value.field == field
    with pytest.raises(NotAllowed):
        agent_update(agent=fleet["agent"], actor=MEMBER, container_name="")
    assert Agent.objects.get(pk=fleet["agent"].pk).container_name == "night"
    assert not Agent.objects.filter(slug="new").exists()


def test_a_member_changes_the_rest(fleet: dict[str, Any]) -> None:
    agent_create(organisation=fleet["ours"], slug="new", actor=MEMBER, name="New", container_name="")
    same = {"container_name": "night", "secret_refs": {}}
    assert agent_update(agent=fleet["agent"], actor=MEMBER, name="Night", **same).name == "Night"


def test_the_operator_sets_all_of_it(fleet: dict[str, Any]) -> None:
    for actor in (Actor.command("ann"), Actor(kind="user", label="boss", reaches_host=True)):
        agent = agent_update(agent=fleet["agent"], actor=actor, **VALUES)
        assert agent.container_name == VALUES["container_name"]
        agent_update(agent=agent, actor=actor, container_name="night")


def test_a_member_sees_them_in_the_admin_and_why_they_are_fixed(staff: Any, fleet: dict[str, Any]) -> None:
    client: Client = staff("owner")
    url = f"/admin/fleet/agent/{fleet['agent'].pk}/change/"
    for page in (url, "/admin/fleet/agent/add/"):
        answer = client.get(page)
        assert not set(HOST_FIELDS) & answer.context["adminform"].form.fields.keys()
        assert answer.content.decode().count("Only the operator of the host sets this") == len(HOST_FIELDS)
    forged = agent_form(fleet, slug="night", name="Mine", container_name="day-x", workspace_folder="/etc")
    assert client.post(url, forged).status_code == 302
    agent = Agent.objects.get(pk=fleet["agent"].pk)
    assert (agent.name, agent.container_name, agent.workspace_folder) == ("Mine", "night", "")
    assert client.post("/admin/fleet/agent/add/", agent_form(fleet, container_name="day-x")).status_code == 302
    assert Agent.objects.get(slug="second").container_name == ""


def test_the_operator_has_them_as_fields(boss: Client, fleet: dict[str, Any]) -> None:
    page = boss.get(f"/admin/fleet/agent/{fleet['agent'].pk}/change/")
    assert set(HOST_FIELDS) <= page.context["adminform"].form.fields.keys()
    assert "Only the operator of the host sets this" not in page.content.decode()
