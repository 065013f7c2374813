"""A staff member sees their own organisation, and does there what their role allows."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from fleet.models import Agent, ApiKey, Member
from fleet.services.apikeys import apikey_create
from fleet.services.organisations import member_set
from schedules.models import Run, Schedule
from schedules.services.runs import run_now
from tests.admin_fleet import SYSTEM

DONE = {"_form_submitted": "True"}
SCHEDULES = "/admin/schedules/schedule/"


def pages(name: str) -> list[str]:
    return [reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}") for model in admin.site._registry]


# Celery's own: it warns of the task option `queue` when django-celery-beat lists the tasks.
def test_every_list_and_add_page_answers(boss: Client, fleet: dict[str, Any]) -> None:
    run_now(schedule=fleet["schedule"], actor=SYSTEM)
    member_set(organisation=fleet["ours"], username="boss", role="owner", actor=SYSTEM)
    apikey_create(organisation=fleet["ours"], name="ci", scopes=["schedules:read"], actor=SYSTEM)
    assert boss.get("/admin/").status_code == 200
    for url in pages("changelist"):
        assert boss.get(url).status_code == 200, url
    for model, page in admin.site._registry.items():
        label = model._meta.app_label
        answer = boss.get(reverse(f"admin:{label}_{model._meta.model_name}_add")).status_code
        request = boss.get("/admin/").wsgi_request
        assert answer == (200 if page.has_add_permission(request) else 403), model


def test_every_object_page_answers(boss: Client, fleet: dict[str, Any]) -> None:
    run_now(schedule=fleet["schedule"], actor=SYSTEM)
    member_set(organisation=fleet["ours"], username="boss", role="owner", actor=SYSTEM)
    apikey_create(organisation=fleet["ours"], name="ci", scopes=["schedules:read"], actor=SYSTEM)
    for model in admin.site._registry:
        if row := model._default_manager.first():
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=(row.pk,))
            assert boss.get(url).status_code == 200, url


def test_no_page_loads_anything_from_outside(boss: Client, fleet: dict[str, Any]) -> None:
    change = reverse("admin:schedules_schedule_change", args=(fleet["schedule"].pk,))
    for url in ("/admin/", SCHEDULES, f"{SCHEDULES}add/", change, "/admin/login/"):
        text = boss.get(url).content.decode()
        assert not re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?:https?:)?//[^>]+>""", text)
        assert not re.findall(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", text)


def test_another_tenants_objects_are_not_there(staff: Any, fleet: dict[str, Any]) -> None:
    client, foreign = staff("owner"), fleet["foreign"]
    run = run_now(schedule=foreign, actor=SYSTEM).run
    assert "their-backup" not in client.get(SCHEDULES).content.decode()
    for url in (
        f"{SCHEDULES}{foreign.pk}/change/",
        f"{SCHEDULES}{foreign.pk}/delete/",
        f"/admin/schedules/run/{run.pk}/change/",
        f"/admin/fleet/agent/{fleet['foreign_agent'].pk}/change/",
        f"/admin/fleet/organisation/{fleet['theirs'].pk}/change/",
    ):
        assert client.get(url).status_code == 302, url  # Django's "perhaps it was deleted?"
    for url in (
        f"{SCHEDULES}{foreign.pk}/run-now/",
        f"/admin/schedules/run/{run.pk}/cancel/",
        f"/admin/schedules/run/{run.pk}/log/",
    ):
        assert client.get(url).status_code == 404, url
    assert client.post(f"{SCHEDULES}{foreign.pk}/run-now/", DONE).status_code == 404
    client.post(SCHEDULES, {"action": "disable_selected", "_selected_action": [foreign.pk]})
    assert Schedule.objects.get(pk=foreign.pk).enabled
    assert Run.objects.count() == 1


def test_forms_and_filters_offer_the_own_organisation_only(staff: Any, fleet: dict[str, Any]) -> None:
    client = staff("admin")
    fields = client.get(f"{SCHEDULES}add/").context["adminform"].form.fields
    assert [str(each) for each in fields["organisation"].queryset] == ["ours"]
    assert [str(each) for each in fields["agent"].queryset] == ["night"]
    assert "theirs" not in client.get(SCHEDULES).content.decode()


def test_a_person_without_a_role_sees_nothing(fleet: dict[str, Any], client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("nobody", password="x", is_staff=True))
    for url in pages("changelist"):
        assert client.get(url).status_code == 403, url


def test_a_viewer_reads_and_does_nothing(staff: Any, fleet: dict[str, Any]) -> None:
    client, schedule = staff("viewer"), fleet["schedule"]
    listing = client.get(SCHEDULES).content.decode()
    assert "nightly-backup" in listing
    assert 'value="run_selected"' not in listing
    assert client.get(f"{SCHEDULES}{schedule.pk}/change/").status_code == 200
    assert client.get(f"{SCHEDULES}add/").status_code == 403
    for action in ("run-now", "enable", "disable"):
        assert client.post(f"{SCHEDULES}{schedule.pk}/{action}/", DONE | {"reason": "x"}).status_code == 403
    client.post(SCHEDULES, {"action": "run_selected", "_selected_action": [schedule.pk]})
    assert not Run.objects.exists()
    for url in ("fleet/member/", "fleet/apikey/", "schedules/workerprocess/", "auth/user/"):
        assert client.get(f"/admin/{url}").status_code == 403


def test_an_operator_runs_but_does_not_edit(staff: Any, fleet: dict[str, Any]) -> None:
    client, schedule = staff("operator"), fleet["schedule"]
    assert client.post(f"{SCHEDULES}{schedule.pk}/run-now/", DONE).status_code == 302
    assert Run.objects.count() == 1
    assert client.post(f"{SCHEDULES}{schedule.pk}/disable/", DONE | {"reason": "x"}).status_code == 403
    assert client.post(f"{SCHEDULES}{schedule.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_role_counts_in_its_own_organisation_only(staff: Any, fleet: dict[str, Any]) -> None:
    client = staff("operator")
    member_set(organisation=fleet["theirs"], username="operator-person", role="viewer", actor=SYSTEM)
    foreign = fleet["foreign"]
    assert client.post(f"{SCHEDULES}{foreign.pk}/run-now/", DONE).status_code == 403
    rows = [foreign.pk, fleet["schedule"].pk]
    client.post(SCHEDULES, {"action": "run_selected", "_selected_action": rows})
    assert list(Run.objects.values_list("schedule__name", flat=True)) == ["nightly-backup"]


def test_an_admin_makes_no_owner(staff: Any, fleet: dict[str, Any]) -> None:
    client = staff("admin")
    mine = Member.objects.get(user__username="admin-person")
    assert client.post(f"/admin/fleet/member/{mine.pk}/change/", {"role": "owner"}).status_code == 403
    assert Member.objects.get(pk=mine.pk).role == "admin"
    assert not ApiKey.objects.exists()


def test_another_tenants_organisation_cannot_be_chosen(staff: Any, fleet: dict[str, Any]) -> None:
    data = {"organisation": fleet["theirs"].pk, "slug": "spy", "secret_refs": "{}", "max_concurrent_runs": 1}
    response = staff("owner").post("/admin/fleet/agent/add/", data | {"runtime": "directory"})
    assert "organisation" in response.context["adminform"].form.errors
    assert not Agent.objects.filter(slug="spy").exists()


def test_a_forged_post_is_refused(fleet: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("victim", password="x"))
    for path in ("run-now/", "delete/", "change/"):
        assert client.post(f"{SCHEDULES}{fleet['schedule'].pk}/{path}", DONE | {"post": "yes"}).status_code == 403
    assert not Run.objects.exists()
    assert Schedule.objects.count() == 2
