"""What is refused when a schedule is made or changed: each field at fault is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.actors import Actor
from fleet.errors import InvalidInput
from fleet.models import AuditEntry
from schedules.models import Run, Schedule
from schedules.services.schedules import schedule_disable

URL = "/api/v1/schedules"


def assert_refused(response: Any, field: str, text: str = "", *, status: int = 400) -> None:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert field in errors, errors
    assert text in errors[field][0]


def test_seed_004s_interval_and_run_at_are_expressions(api: APIClient, body: dict[str, Any]) -> None:
    del body["expression"]
    every = api.post(URL, {**body, "name": "a", "interval_seconds": 90}, format="json").json()
    assert (every["kind"], every["expression"]) == ("interval", "@every 90s")
    once = api.post(URL, {**body, "name": "b", "run_at": "2037-01-01T08:00:00+08:00"}, format="json").json()
    assert (once["kind"], once["next_run_at"]) == ("once", "2037-01-01T00:00:00Z")
    assert api.patch(f"{URL}/a", {"interval_seconds": 60}, format="json").json()["expression"] == "@every 60s"


@pytest.mark.parametrize("seconds", [0, -1, 366 * 86400 + 1, 10**30, "soon", True, None])
def test_an_interval_outside_its_limits_is_refused(api: APIClient, body: dict[str, Any], seconds: Any) -> None:
    del body["expression"]
    assert_refused(api.post(URL, {**body, "interval_seconds": seconds}, format="json"), "interval_seconds")


@pytest.mark.parametrize("seconds", [1, 366 * 86400])
def test_an_interval_at_its_limits_is_taken(api: APIClient, body: dict[str, Any], seconds: int) -> None:
    del body["expression"]
    assert api.post(URL, {**body, "interval_seconds": seconds}, format="json").status_code == 201


def test_a_naive_run_at_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    del body["expression"]
    assert_refused(api.post(URL, {**body, "run_at": "2037-01-01T08:00:00"}, format="json"), "run_at", "offset")


def test_exactly_one_of_expression_interval_and_run_at(api: APIClient, body: dict[str, Any]) -> None:
    both = api.post(URL, {**body, "interval_seconds": 60}, format="json")
    assert_refused(both, "expression", "only one")
    assert_refused(both, "interval_seconds", "only one")
    del body["expression"]
    assert_refused(api.post(URL, body, format="json"), "expression", "one of")
    api.post(URL, {**body, "expression": "@daily"}, format="json")
    assert api.patch(f"{URL}/nightly-backup", {}, format="json").json()["expression"] == "@daily"


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("expression", "61 * * * *", "expression"),
        ("expression", "0 0 30 2 *", "expression"),
        ("expression", "x" * 201, "expression"),
        ("timezone", "Asia/Shangai", "timezone"),
        ("executor", "test.trac", "executor"),
        ("payload", [], "payload"),
        ("payload", {"trace": "x", "tpyo": 1}, "payload.tpyo"),
        ("payload", {"trace": "x", "text": "a\x00b"}, "payload"),
        ("timeout_seconds", 0, "timeout_seconds"),
        ("timeout_seconds", 10**40, "timeout_seconds"),
        ("timeout_seconds", "long", "timeout_seconds"),
        ("retry_delays", [30, "x"], "retry_delays.1"),
        ("retry_delays", [-1], "retry_delays"),
        ("priority", 10, "priority"),
        ("max_concurrent_runs", 0, "max_concurrent_runs"),
        ("overlap", "maybe", "overlap"),
        ("enabled", None, "enabled"),
        ("enabled", {}, "enabled"),
        ("description", "a\x00b", "description"),
        ("display_name", "", "display_name"),
        ("name", "Not A Name", "name"),
        ("agent", "nobody", "agent"),
        ("agent", 5, "agent"),
        ("agent", {}, "agent"),
        ("next_run_at", "2030-01-01T00:00:00Z", "next_run_at"),
        ("tiemzone", "UTC", "tiemzone"),
    ],
)
def test_a_wrong_field_is_named(api: APIClient, body: dict[str, Any], field: str, value: Any, where: str) -> None:
    assert_refused(api.post(URL, {**body, field: value}, format="json"), where)
    assert not Schedule.objects.exists()
    assert not AuditEntry.objects.filter(action="schedule.create").exists()


def test_several_wrong_fields_are_named_at_once(api: APIClient) -> None:
    response = api.post(URL, {"tiemzone": "UTC", "priority": "x"}, format="json")
    assert response.json()["errors"].keys() == {"tiemzone", "priority", "executor"}


@pytest.mark.parametrize("text", ['{"a": ', "nul", "NaN", '{"a": Infinity}', '"\xff'])
def test_bad_json_is_refused(api: APIClient, text: str) -> None:
    response = api.post(URL, text.encode("latin-1"), content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "parse_error"


@pytest.mark.parametrize("text", ["[]", "5", "null", '"x"'])
def test_json_that_is_no_object_is_refused(api: APIClient, text: str) -> None:
    assert_refused(api.post(URL, text, content_type="application/json"), "body")


@pytest.mark.parametrize("depth", [51, 900, 200_000])
def test_json_nested_too_deeply_is_refused(api: APIClient, body: dict[str, Any], depth: int) -> None:
    text = json.dumps(body).replace('"payload": {', '"payload": {"deep": ' + "[" * depth + "]" * depth + ", ")
    response = api.post(URL, text, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


def test_half_a_surrogate_pair_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    body["payload"]["trace"] = "\ud800"
    assert_refused(api.post(URL, json.dumps(body), content_type="application/json"), "payload", "surrogate")


def test_a_body_without_end_is_refused(api: APIClient, settings: Any) -> None:
    response = api.post(URL, " " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1), content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (413, "application/problem+json")


def test_a_form_is_refused(api: APIClient) -> None:
    response = api.post(URL, {"a": "b"}, format="multipart")
    assert (response.status_code, response["Content-Type"]) == (415, "application/problem+json")


def test_a_taken_name_is_a_conflict(api: APIClient, body: dict[str, Any]) -> None:
    api.post(URL, body, format="json")
    response = api.post(URL, body, format="json")
    assert_refused(response, "name", "taken", status=409)
    assert response.json()["code"] == "taken"


def test_another_organisation_may_have_the_same_name(api: APIClient, stranger: APIClient, body: Any) -> None:
    assert api.post(URL, body, format="json").status_code == 201
    assert stranger.post(URL, body, format="json").status_code == 201


@pytest.mark.parametrize("method", ["patch", "put"])
def test_enabled_is_not_changed_by_an_edit(api: APIClient, new_schedule: Any, method: str) -> None:
    new_schedule(expression="@daily")
    body = {"expression": "@daily", "executor": "test.trace", "enabled": False}
    assert_refused(getattr(api, method)(f"{URL}/nightly", body, format="json"), "enabled", "/disable")


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("disable", {"raeson": "x"}, "raeson"),
        ("disable", {"reason": "x" * 201}, "reason"),
        ("disable", {"reason": 1.5, "x": 1}, "x"),
        ("disable", ["x"], "body"),
        ("enable", {"reason": "x"}, "reason"),
        ("run-now", {"payload": {}}, "payload"),
    ],
)
def test_actions_refuse_fields_they_do_not_know(
    api: APIClient, new_schedule: Any, action: str, body: Any, field: str
) -> None:
    new_schedule()
    assert_refused(api.post(f"{URL}/nightly/{action}", body, format="json"), field)
    assert not Run.objects.exists()


@pytest.mark.parametrize("query", ["enabled=flase", "kind=weekly", "q=%00", "cursor=nonsense"])
def test_a_wrong_filter_is_named(api: APIClient, query: str) -> None:
    assert_refused(api.get(f"{URL}?{query}"), query.partition("=")[0])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("put", URL, 405),
        ("delete", URL, 405),
        ("post", f"{URL}/nightly", 405),
        ("get", f"{URL}/nightly/run-now", 405),
        ("options", URL, 405),
        ("get", f"{URL}/", 404),
        ("get", f"{URL}/Nightly%00", 404),
        ("get", "/api/v1/nothing", 404),
    ],
)
def test_a_wrong_address_or_method_is_a_problem_too(api: APIClient, method: str, path: str, status: int) -> None:
    response = getattr(api, method)(path)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("field", ["display_name", "expression"])
def test_the_services_hold_the_lengths_for_the_other_doors_too(new_schedule: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        new_schedule(**{field: "0 2 * * *" + " " * 200})
    assert refusal.value.field == field


def test_a_reason_has_its_length_in_the_service_too(new_schedule: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        schedule_disable(schedule=new_schedule(), actor=Actor.system("test"), reason="x" * 201)
    assert refusal.value.field == "paused_reason"
