"""Backfills over HTTP: looked at with ``dry_run``, then asked for."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.models import AuditEntry
from schedules.models import Backfill, Run, Schedule
from tests.schedules.api.test_api_schedule_input import assert_refused

URL = "/api/v1/schedules/hourly/backfills"


def asked(**changes: Any) -> dict[str, Any]:
    whole = {"from": "2026-02-25T09:00:00+08:00", "to": "2026-02-25T12:00:00Z", "dry_run": False}
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def test_a_dry_run_says_what_it_would_do_and_does_nothing(api: APIClient, lived: Schedule) -> None:
    response = api.post(URL, asked(dry_run=True), format="json")
    assert response.status_code == 200, response.content
    assert response.json() == {
        "runs": 11,
        "first": "2026-02-25T02:00:00Z",
        "last": "2026-02-25T12:00:00Z",
        "has_run": 1,
        "overlapped": 0,
    }
    assert not Backfill.objects.exists()
    every = api.post(URL, asked(dry_run=True, only="all", overlap="queue_one"), format="json").json()
    assert (every["runs"], every["overlapped"]) == (2, 9)


def test_it_queues_runs_and_says_where_they_are(api: APIClient, lived: Schedule) -> None:
    response = api.post(URL, asked(max_concurrent_runs=3), format="json")
    assert response.status_code == 202, response.content
    backfill, body = Backfill.objects.get(), response.json()
    assert (body["id"], body["runs"], body["max_concurrent_runs"]) == (f"b{backfill.pk}", 11, 3)
    assert (body["from"], body["to"]) == ("2026-02-25T01:00:00Z", "2026-02-25T12:00:00Z")
    runs = Run.objects.filter(backfill=backfill)
    assert {run.job_run_id.partition("-")[0] for run in runs} == {body["id"]}
    assert len(runs) == 11
    assert api.get(response["Location"]).json()["results"] == [body]
    assert AuditEntry.objects.get(action="schedule.backfill").address == "192.0.2.7"
    ledger = api.get("/api/v1/schedules/hourly/ledger").json()
    assert ledger["audit"]["is_clean"] is True  # a fire stays covered by what became of it then


def test_nothing_to_make_up_is_a_conflict(api: APIClient, lived: Schedule) -> None:
    response = api.post(URL, asked(to="2026-02-25T01:30:00Z"), format="json")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    dry = api.post(URL, asked(to="2026-02-25T01:30:00Z", dry_run=True), format="json").json()
    assert (dry["runs"], dry["first"], dry["last"]) == (0, None, None)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"dry_run": ...}, "dry_run", "required"),
        ({"dry_run": "maybe"}, "dry_run", "boolean"),
        ({"from": ...}, "from", "required"),
        ({"from": "2026-02-25T09:00:00"}, "from", "offset"),
        ({"from": "0001-01-01T00:00:00Z"}, "from", "1970 to 2199"),
        ({"from": "2020-01-01T00:00:00Z"}, "to", "10000"),
        ({"to": "2026-02-24T00:00:00Z"}, "to", "before it begins"),
        ({"to": "2026-02-26T00:00:00Z"}, "to", "to come"),
        ({"only": "some"}, "only", "some"),
        ({"overlap": "maybe"}, "overlap", "maybe"),
        ({"max_concurrent_runs": 0}, "max_concurrent_runs", "1"),
        ({"max_concurrent_runs": 1001}, "max_concurrent_runs", "1000"),
        ({"at_once": 2}, "at_once", "from, to"),
    ],
)
def test_a_wrong_field_is_named(
    api: APIClient, lived: Schedule, changes: dict[str, Any], field: str, said: str
) -> None:
    assert_refused(api.post(URL, asked(**changes), format="json"), field, said)
    assert not Backfill.objects.exists()


def test_reading_does_not_allow_backfilling(client_with: Any, lived: Schedule) -> None:
    client = client_with("schedules:read", "schedules:write")
    assert client.get(URL).json()["results"] == []
    response = client.post(URL, asked(), format="json")
    assert response.status_code == 403
    assert "schedules:run" in response.json()["detail"]
    assert not Backfill.objects.exists()
