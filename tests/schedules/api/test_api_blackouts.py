"""Blackout calendars: create, list, read, change, delete."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from fleet.models import AuditEntry
from schedules.models import BlackoutCalendar
from tests.schedules.api.test_api_schedule_input import assert_refused

URL = "/api/v1/blackouts"


@pytest.fixture
def body() -> dict[str, Any]:
    return {"name": "holidays", "windows": ["sat,sun", "12-24..01-02 # Christmas"], "timezone": "Asia/Shanghai"}


@pytest.fixture
def their_job(new_schedule: Any, other_org: Any) -> None:
    new_schedule("theirs", organisation=other_org)


def test_create_shows_the_whole_calendar(api: APIClient, body: dict[str, Any], new_schedule: Any) -> None:
    new_schedule("nightly")
    with time_machine.travel("2026-02-27T12:00:00Z", tick=False):
        response = api.post(URL, {**body, "schedules": ["nightly"]}, format="json")
        assert response.status_code == 201, response.content
        shown = response.json()
        assert api.get(response["Location"]).json() == shown
    assert response["Location"] == f"{URL}/holidays"
    assert (shown["windows"], shown["schedules"], shown["for_all"]) == (body["windows"], ["nightly"], False)
    assert shown["words"] == ["Every Saturday and Sunday, all day", "Every year from 24 December through 2 January"]
    assert shown["next"] == {"start": "2026-02-27T16:00:00Z", "end": "2026-03-01T16:00:00Z", "text": "sat,sun"}
    entry = AuditEntry.objects.get(action="blackout.create")
    assert (entry.actor_kind, entry.address, entry.object_name) == ("api_key", "192.0.2.7", "holidays")


def test_patch_changes_only_what_is_named(api: APIClient, body: dict[str, Any], new_schedule: Any) -> None:
    new_schedule("nightly")
    api.post(URL, body, format="json")
    shown = api.patch(f"{URL}/holidays", {"schedules": ["nightly"], "windows": ["2020-01-01"]}, format="json").json()
    assert (shown["schedules"], shown["windows"], shown["timezone"]) == (["nightly"], ["2020-01-01"], "Asia/Shanghai")
    assert shown["next"] is None
    entry = AuditEntry.objects.get(action="blackout.update")
    assert entry.after == {"windows": "2020-01-01", "schedules": ["nightly"]}
    assert api.patch(f"{URL}/holidays", {"name": "new-year", "for_all": True}, format="json").json()["for_all"] is True
    assert api.get(f"{URL}/holidays").status_code == 404


def test_delete(api: APIClient, body: dict[str, Any]) -> None:
    api.post(URL, body, format="json")
    response = api.delete(f"{URL}/holidays")
    assert (response.status_code, response.content) == (204, b"")
    assert not BlackoutCalendar.objects.exists()
    assert AuditEntry.objects.get(action="blackout.delete").address == "192.0.2.7"


def test_the_list_is_by_name_and_shows_the_callers_only(
    api: APIClient, stranger: APIClient, body: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    for name in ("c", "a", "b"):
        api.post(URL, {**body, "name": name}, format="json")
    stranger.post(URL, {**body, "name": "a"}, format="json")
    with django_assert_max_num_queries(4):  # the key, its use, the page, its jobs
        listed = api.get(URL).json()["results"]
    assert [each["name"] for each in listed] == ["a", "b", "c"]
    assert len(stranger.get(URL).json()["results"]) == 1


@pytest.mark.usefixtures("their_job")
@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"windows": ["sat,sun", "saturn"]}, "windows", 'try "sat"'),
        ({"windows": []}, "windows", "sat,sun"),
        ({"windows": "sat,sun"}, "windows", "list"),
        ({"windows": ["sat\x00"]}, "windows.0", "ull"),
        ({"timezone": "Asia/Shangai"}, "timezone", "Asia/Shanghai"),
        ({"name": "Holi Days"}, "name", "christmas"),
        ({"schedules": ["nobody"]}, "schedules", "'nobody'"),
        ({"schedules": ["theirs"]}, "schedules", "'theirs'"),
        ({"for_all": "maybe"}, "for_all", "boolean"),
        ({"words": ["x"]}, "words", "shown, not set"),
        ({"widnows": ["sat"]}, "widnows", "windows"),
    ],
)
def test_a_wrong_field_is_named(
    api: APIClient, body: dict[str, Any], changes: dict[str, Any], field: str, said: str
) -> None:
    assert_refused(api.post(URL, {**body, **changes}, format="json"), field, said)
    assert not BlackoutCalendar.objects.exists()
    api.post(URL, body, format="json")
    assert_refused(api.patch(f"{URL}/holidays", changes, format="json"), field, said)
    assert not AuditEntry.objects.filter(action="blackout.update").exists()


def test_a_taken_name_is_a_conflict(api: APIClient, stranger: APIClient, body: dict[str, Any]) -> None:
    assert api.post(URL, body, format="json").status_code == 201
    assert_refused(api.post(URL, body, format="json"), "name", "exists already", status=409)
    assert stranger.post(URL, body, format="json").status_code == 201


def test_a_calendar_is_not_replaced(api: APIClient, body: dict[str, Any]) -> None:
    api.post(URL, body, format="json")
    assert api.put(f"{URL}/holidays", body, format="json").status_code == 405


def test_a_damaged_calendar_does_not_break_the_list(api: APIClient, body: dict[str, Any]) -> None:
    api.post(URL, body, format="json")
    BlackoutCalendar.objects.update(windows="nonsense")
    [shown] = api.get(URL).json()["results"]
    assert (shown["windows"], shown["next"]) == (["nonsense"], None)
