"""The fleet through the admin's own addresses, in real transactions: services are durable."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from fleet.models import Agent, ApiKey, AuditEntry, Member, Organisation
from fleet.services.apikeys import apikey_authenticate
from schedules.models import Schedule
from tests.admin_fleet import ADDRESS

DONE = {"_form_submitted": "True"}


def said(response: Any) -> str:
    return " ".join(str(each) for each in get_messages(response.wsgi_request))


def errors(response: Any) -> dict[str, Any]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def agent_form(fleet: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "organisation": fleet["ours"].pk,
        "slug": "second",
        "name": "",
        "runtime": "directory",
        "container_name": "",
        "base_url": "",
        "health_url": "",
        "secret_refs": "{}",
        "workspace_folder": "/srv/second",
        "state_folder": "",
        "max_concurrent_runs": 2,
    } | changes


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("slug", "Not A Slug", "is not a name"),
        ("slug", "night", "exists already"),
        ("container_name", "night", "already belongs to an agent"),
        ("workspace_folder", "relative/../x", "absolute folder"),
        ("base_url", "ftp://x", "http(s) address"),
        ("secret_refs", '{"token": "hunter2"}', "must be a reference"),
        ("max_concurrent_runs", "0", "at least 1"),
    ],
)
def test_a_wrong_agent_is_an_error_of_its_field(
    boss: Client, fleet: dict[str, Any], field: str, value: str, error: str
) -> None:
    found = errors(boss.post("/admin/fleet/agent/add/", agent_form(fleet, **{field: value})))
    assert list(found) == [field]
    assert error in found[field].as_text()
    assert Agent.objects.count() == 2


def test_an_agent_is_added_edited_and_removed_through_services(boss: Client, fleet: dict[str, Any]) -> None:
    assert boss.post("/admin/fleet/agent/add/", agent_form(fleet)).status_code == 302
    agent = Agent.objects.get(slug="second")
    changed = agent_form(fleet, name="The second")
    assert boss.post(f"/admin/fleet/agent/{agent.pk}/change/", changed).status_code == 302
    assert "archives stay" in boss.get(f"/admin/fleet/agent/{agent.pk}/delete/").content.decode()
    assert boss.post(f"/admin/fleet/agent/{agent.pk}/delete/", {"post": "yes"}).status_code == 302
    trail = AuditEntry.objects.filter(actor="boss", object_type="agent").order_by("pk")
    assert [each.action for each in trail] == ["agent.create", "agent.update", "agent.remove"]
    assert {each.address for each in trail} == {ADDRESS}
    assert trail[1].after == {"name": "The second"}


def test_an_agent_in_use_stays(boss: Client, fleet: dict[str, Any]) -> None:
    agent = fleet["agent"]
    Schedule.objects.filter(pk=fleet["schedule"].pk).update(agent=agent)
    url = f"/admin/fleet/agent/{agent.pk}/delete/"
    assert "The schedule nightly-backup works on it" in boss.get(url).content.decode()
    boss.post(url, {"post": "yes"})
    rows = {"action": "delete_selected", "_selected_action": [agent.pk], "post": "yes"}
    assert "is still used by: nightly-backup" in said(boss.post("/admin/fleet/agent/", rows))
    assert Agent.objects.filter(pk=agent.pk).exists()


def test_an_organisation_is_opened_and_limited_but_never_deleted(boss: Client, fleet: dict[str, Any]) -> None:
    new = {"slug": "third", "name": "", "max_concurrent_runs": 3}
    assert list(errors(boss.post("/admin/fleet/organisation/add/", new | {"slug": "ours", "name": "x"}))) == ["slug"]
    assert boss.post("/admin/fleet/organisation/add/", new | {"name": "Third"}).status_code == 302
    third = Organisation.objects.get(slug="third")
    edit = {"name": "Third", "max_concurrent_runs": 0, "is_active": "on"}
    url = f"/admin/fleet/organisation/{third.pk}/change/"
    assert list(errors(boss.post(url, edit))) == ["max_concurrent_runs"]
    assert boss.post(url, edit | {"max_concurrent_runs": 4}).status_code == 302
    assert Organisation.objects.get(slug="third").max_concurrent_runs == 4
    assert boss.post(f"/admin/fleet/organisation/{third.pk}/delete/", {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.get(action="organisation.update").address == ADDRESS


def test_members_come_change_and_go(boss: Client, fleet: dict[str, Any]) -> None:
    User.objects.create_user("ann", password="x")
    new = {"organisation": fleet["ours"].pk, "username": "nobody", "role": "viewer"}
    assert list(errors(boss.post("/admin/fleet/member/add/", new))) == ["username"]
    assert boss.post("/admin/fleet/member/add/", new | {"username": "ann"}).status_code == 302
    member = Member.objects.get()
    assert boss.get(f"/admin/fleet/member/{member.pk}/change/").status_code == 200
    assert boss.post(f"/admin/fleet/member/{member.pk}/change/", {"role": "operator"}).status_code == 302
    assert Member.objects.get().role == "operator"
    assert boss.post(f"/admin/fleet/member/{member.pk}/delete/", {"post": "yes"}).status_code == 302
    actions = AuditEntry.objects.filter(actor="boss").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["member.set", "member.set", "member.remove"]


def test_a_key_is_shown_once_and_revoked(boss: Client, fleet: dict[str, Any]) -> None:
    new = {"organisation": fleet["ours"].pk, "name": "ci", "scopes": [], "expires_at_0": "", "expires_at_1": ""}
    assert list(errors(boss.post("/admin/fleet/apikey/add/", new))) == ["scopes"]
    response = boss.post("/admin/fleet/apikey/add/", new | {"scopes": ["schedules:read"]}, follow=True)
    shown = re.search(r'data-secret="once">(wb_[^<]+)<', response.content.decode())
    assert shown
    key = apikey_authenticate(shown[1])
    assert key is not None
    for url in ("/admin/fleet/apikey/", f"/admin/fleet/apikey/{key.pk}/change/"):
        text = boss.get(url).content.decode()
        assert shown[1] not in text
        assert key.key_hash not in text
    assert boss.post(f"/admin/fleet/apikey/{key.pk}/change/", {"name": "other"}).status_code == 403
    assert boss.post(f"/admin/fleet/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403
    boss.post(f"/admin/fleet/apikey/{key.pk}/revoke/", DONE)
    assert apikey_authenticate(shown[1]) is None
    rows = {"action": "revoke_selected", "_selected_action": [key.pk]}
    assert "No valid key" in said(boss.post("/admin/fleet/apikey/", rows))
    assert ApiKey.objects.get().revoked_at


def test_the_audit_trail_is_read_filtered_and_never_touched(boss: Client, fleet: dict[str, Any]) -> None:
    entry = AuditEntry.objects.filter(action="schedule.create").latest("pk")
    for query in ("q=nightly", "action=schedule.create", "object_type=schedule", f"organisation={fleet['ours'].pk}"):
        assert "nightly-backup" in boss.get(f"/admin/fleet/auditentry/?{query}").content.decode()
    url = f"/admin/fleet/auditentry/{entry.pk}/"
    text = boss.get(f"{url}change/").content.decode()
    assert "expression" in text
    assert boss.post(f"{url}change/", {"actor": "someone"}).status_code == 403
    assert boss.post(f"{url}delete/", {"post": "yes"}).status_code == 403
    assert boss.get("/admin/fleet/auditentry/add/").status_code == 403


def test_an_audit_change_stands_before_and_after(boss: Client, fleet: dict[str, Any]) -> None:
    url = f"/admin/fleet/agent/{fleet['agent'].pk}/change/"
    boss.post(url, agent_form(fleet, slug="night", container_name="night", name="Renamed", workspace_folder=""))
    entry = AuditEntry.objects.get(action="agent.update")
    text = boss.get(f"/admin/fleet/auditentry/{entry.pk}/change/").content.decode()
    assert re.search(r"name.*empty.*Renamed", text, re.DOTALL)
