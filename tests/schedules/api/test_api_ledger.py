"""The ledger and "why?" over HTTP: what became of each fire, with a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from schedules.models import Run, Schedule, SkipSpan
from tests.schedules.api.test_api_schedule_input import assert_refused

URL = "/api/v1/schedules/hourly"


def told(response: Any) -> list[tuple[str, str, int]]:
    assert response.status_code == 200, response.content
    return [(each["reason"], each["first"][11:16], each["count"]) for each in response.json()["results"]]


def test_runs_and_spans_come_together_the_latest_first(api: APIClient, lived: Schedule) -> None:
    page = api.get(f"{URL}/ledger")
    assert told(page) == [
        ("paused", "11:00", 2),
        ("overlap", "10:00", 1),
        ("paused", "07:00", 3),
        ("overlap", "06:00", 1),
        ("misfire", "03:00", 3),
        ("overlap", "02:00", 1),
        ("ran", "01:00", 1),
    ]
    body = page.json()
    newest, oldest, run = body["results"][0], body["results"][-1], Run.objects.get()
    assert (newest["open"], newest["detail"], newest["last"]) == (True, "and again", "2026-02-25T12:00:00Z")
    assert (oldest["open"], oldest["run"], oldest["status"]) == (False, run.job_run_id, "queued")
    assert (body["after"], body["through"], body["next"]) == ("2026-02-18T12:30:00Z", "2026-02-25T12:30:00Z", None)
    clean = {"expected": 12, "is_clean": True, "holes": [], "doubles": [], "strays": []}
    assert (body["audit"], body["unchecked"]) == (clean, "")


def test_a_range_is_after_through(api: APIClient, lived: Schedule) -> None:
    page = api.get(f"{URL}/ledger", {"after": "2026-02-25T09:00:00+08:00", "through": "2026-02-25T05:30:00Z"})
    assert told(page) == [("misfire", "03:00", 3), ("overlap", "02:00", 1)]
    assert page.json()["audit"]["expected"] == 4


def test_pages_follow_each_other(api: APIClient, lived: Schedule) -> None:
    whole, seen, url = told(api.get(f"{URL}/ledger")), [], f"{URL}/ledger?page_size=3"
    while url:
        page = api.get(url)
        seen += told(page)
        url = page.json()["next"]
    assert seen == whole


def test_what_is_to_come_is_no_part_of_it(api: APIClient, lived: Schedule) -> None:
    page = api.get(f"{URL}/ledger", {"through": "2199-01-01T00:00:00Z"})
    assert page.json()["through"] == "2026-02-25T12:30:00Z"


def test_holes_doubles_and_strays_are_listed(api: APIClient, lived: Schedule) -> None:
    SkipSpan.objects.filter(reason="misfire").delete()
    SkipSpan.objects.filter(reason="paused", count=3).update(last_fire_at="2026-02-25T10:00Z")
    audit = api.get(f"{URL}/ledger").json()["audit"]
    assert audit["is_clean"] is False
    assert [each[11:16] for each in audit["holes"]] == ["03:00", "04:00", "05:00"]
    assert [each[11:16] for each in audit["doubles"]] == ["10:00"]
    assert [each[11:16] for each in audit["strays"]] == ["07:00"]


def test_a_range_that_is_too_long_for_a_verdict_says_so(
    api: APIClient, lived: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedules.services.ledgerpages.MOST_CHECKED", 11)
    body = api.get(f"{URL}/ledger").json()
    assert body["audit"] is None
    assert "12 fires were expected" in body["unchecked"]


def test_a_fire_that_is_due_and_not_planned_yet_is_no_hole(api: APIClient, new_schedule: Any) -> None:
    new_schedule("hourly", expression="0 * * * *")
    Schedule.objects.update(planned_through="2026-02-25T00:00Z", next_run_at="2026-02-25T01:00Z")
    body = api.get(f"{URL}/ledger").json()
    assert body["audit"]["is_clean"] is True
    assert "not planned yet" in body["unchecked"]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("after=yesterday", "after", "2026-12-01T02:00:00Z"),
        ("after=2026-02-25T09:00:00+08:00", "after", "%2B"),
        ("through=2026-02-25T09:00:00", "through", "offset"),
        ("after=2026-02-26T00:00:00Z", "after", "2026-02-26T00:00:00+00:00"),
        ("after=0001-01-01T00:00:00Z", "after", "1970 to 2199"),
        ("through=0001-01-01T00:00:00Z", "through", "1970 to 2199"),
        ("page_size=0", "page_size", "1"),
        ("page_size=501", "page_size", "500"),
        ("from=2026-02-25T09:00:00Z", "from", "after, through, page_size"),
    ],
)
def test_a_wrong_question_is_named(api: APIClient, lived: Schedule, query: str, field: str, said: str) -> None:
    assert_refused(api.get(f"{URL}/ledger?{query}"), field, said)


def test_why_answers_in_sentences(api: APIClient, lived: Schedule) -> None:
    paused = api.get(f"{URL}/why", {"at": "2026-02-25T16:00:00+08:00"}).json()
    assert (paused["reason"], paused["fire"], paused["run"]) == ("paused", "2026-02-25T08:00:00Z", None)
    assert "did not run: the schedule was paused" in paused["headline"]
    assert any("storage moves" in line for line in paused["details"])
    ran = api.get(f"{URL}/why", {"at": "2026-02-25T01:00:00Z"}).json()
    assert (ran["reason"], ran["run"]) == ("ran", Run.objects.get().job_run_id)
    now = api.get(f"{URL}/why").json()
    assert (now["reason"], now["fire"]) == ("paused", None)
    assert "and again" in now["headline"]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("at=noon", "at", "2026-12-01T02:00:00Z"),
        ("at=2026-02-25T09:00:00", "at", "offset"),
        ("at=9999-12-31T23:59:59Z", "at", "1970 to 2199"),
        ("time=2026-02-25T09:00:00Z", "time", "Fields are: at"),
    ],
)
def test_a_wrong_time_is_named(api: APIClient, lived: Schedule, query: str, field: str, said: str) -> None:
    assert_refused(api.get(f"{URL}/why?{query}"), field, said)


def test_a_damaged_schedule_is_a_conflict_and_why_says_how_to_mend_it(api: APIClient, lived: Schedule) -> None:
    Schedule.objects.update(expression="nonsense")
    response = api.get(f"{URL}/ledger")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "nonsense" in response.json()["detail"]
    assert api.get(f"{URL}/why").json()["reason"] in {"damaged", "paused"}
