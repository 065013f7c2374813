"""Begin, end, spread, order and pause of a schedule over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.models import AuditEntry
from schedules.models import Schedule
from tests.schedules.api.test_api_schedule_input import assert_refused

URL = "/api/v1/schedules"
TIMED = {
    "starts_at": "2036-12-01T02:00:00Z",
    "ends_at": "2037-03-01T00:00:00Z",
    "max_runs": 10,
    "jitter_seconds": 300,
    "start_within_seconds": 600,
    "pause_after_failures": 5,
    "run_after": "scan",
    "run_after_on": "always",
}


@pytest.fixture
def their_job(new_schedule: Any, other_org: Any) -> None:
    new_schedule("theirs", organisation=other_org)


def test_they_are_set_shown_and_put_back(api: APIClient, body: dict[str, Any], new_schedule: Any) -> None:
    new_schedule("scan")
    response = api.post(URL, {**body, **TIMED, "starts_at": "2036-12-01T10:00:00+08:00"}, format="json")
    assert response.status_code == 201, response.content
    shown = response.json()
    assert {name: shown[name] for name in TIMED} == TIMED
    assert (shown["planned_runs"], shown["next_run_at"]) == (0, "2036-12-01T18:00:00Z")
    assert {name: api.get(URL).json()["results"][0][name] for name in TIMED} == TIMED
    put = api.put(f"{URL}/nightly-backup", shown, format="json")
    assert put.status_code == 200, put.content
    assert put.json() == shown
    assert not AuditEntry.objects.filter(action="schedule.update").exists()


def test_patch_takes_away_what_is_null(api: APIClient, body: dict[str, Any], new_schedule: Any) -> None:
    new_schedule("scan")
    api.post(URL, {**body, **TIMED}, format="json")
    optional = ("starts_at", "ends_at", "max_runs", "start_within_seconds", "pause_after_failures", "run_after")
    shown = api.patch(f"{URL}/nightly-backup", dict.fromkeys(optional), format="json").json()
    assert {name: shown[name] for name in optional} == dict.fromkeys(optional)
    assert (shown["jitter_seconds"], shown["run_after_on"]) == (300, "always")
    assert shown["next_run_at"] < "2036"


def test_put_resets_what_is_left_out(api: APIClient, body: dict[str, Any], new_schedule: Any) -> None:
    new_schedule("scan")
    api.post(URL, {**body, **TIMED}, format="json")
    shown = api.put(f"{URL}/nightly-backup", body, format="json").json()
    default = dict.fromkeys(TIMED) | {"jitter_seconds": 0, "run_after_on": "success"}
    assert {name: shown[name] for name in TIMED} == default


@pytest.mark.usefixtures("their_job")
@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"starts_at": "2036-12-01T02:00:00"}, "starts_at", "offset"),
        ({"starts_at": "soon"}, "starts_at", ""),
        ({"starts_at": "2037-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z"}, "ends_at", "lies before the start"),
        ({"ends_at": "9999-12-31T23:59:59Z"}, "ends_at", "1970 to 2199"),
        ({"max_runs": 0}, "max_runs", "not 0"),
        ({"jitter_seconds": None}, "jitter_seconds", "null"),
        ({"jitter_seconds": 86401}, "jitter_seconds", "86401"),
        ({"start_within_seconds": 0}, "start_within_seconds", "not 0"),
        ({"pause_after_failures": "often"}, "pause_after_failures", "integer"),
        ({"run_after": "nobody"}, "run_after", "'nobody'"),
        ({"run_after": "theirs"}, "run_after", "'theirs'"),
        ({"run_after": 5}, "run_after", ""),
        ({"run_after_on": "maybe"}, "run_after_on", "maybe"),
        ({"planned_runs": 3}, "planned_runs", "shown, not set"),
    ],
)
def test_a_wrong_value_is_named(
    api: APIClient, body: dict[str, Any], changes: dict[str, Any], field: str, said: str
) -> None:
    assert_refused(api.post(URL, {**body, **changes}, format="json"), field, said)
    assert Schedule.objects.count() == 1


def test_jobs_never_follow_each_other_in_a_circle(api: APIClient, new_schedule: Any) -> None:
    first = new_schedule("first")
    new_schedule("second", run_after=first)
    response = api.patch(f"{URL}/first", {"run_after": "second"}, format="json")
    assert_refused(response, "run_after", "first after second after first")
    held = api.delete(f"{URL}/first")
    assert (held.status_code, "'second'" in held.json()["detail"]) == (409, True)
