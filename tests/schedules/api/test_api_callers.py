"""Who is let in: API keys, sessions, organisations, scopes; and that nobody sees another's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from fleet.actors import Actor
from fleet.models import ApiKey, Organisation
from fleet.services.apikeys import apikey_revoke
from fleet.services.organisations import organisation_update
from schedules.services.blackouts import blackout_create
from schedules.services.runs import run_now

ACTOR = Actor.system("test")
URL = "/api/v1/schedules"
RUNS = "/api/v1/schedule-runs"

# Every address of the API with the scope it needs: {name}, {run} and {blackout} are one organisation's.
DOORS = [
    ("get", "/api/v1/schedules", "schedules:read"),
    ("post", "/api/v1/schedules", "schedules:write"),
    ("get", "/api/v1/schedules/{name}", "schedules:read"),
    ("put", "/api/v1/schedules/{name}", "schedules:write"),
    ("patch", "/api/v1/schedules/{name}", "schedules:write"),
    ("delete", "/api/v1/schedules/{name}", "schedules:delete"),
    ("post", "/api/v1/schedules/{name}/enable", "schedules:write"),
    ("post", "/api/v1/schedules/{name}/disable", "schedules:write"),
    ("post", "/api/v1/schedules/{name}/run-now", "schedules:run"),
    ("get", "/api/v1/schedules/{name}/runs", "schedules:read"),
    ("get", "/api/v1/schedules/{name}/ledger", "schedules:read"),
    ("get", "/api/v1/schedules/{name}/why", "schedules:read"),
    ("get", "/api/v1/schedules/{name}/backfills", "schedules:read"),
    ("post", "/api/v1/schedules/{name}/backfills", "schedules:run"),
    ("get", "/api/v1/blackouts", "schedules:read"),
    ("post", "/api/v1/blackouts", "schedules:write"),
    ("get", "/api/v1/blackouts/{blackout}", "schedules:read"),
    ("patch", "/api/v1/blackouts/{blackout}", "schedules:write"),
    ("delete", "/api/v1/blackouts/{blackout}", "schedules:delete"),
    ("get", "/api/v1/schedule-runs", "schedules:read"),
    ("get", "/api/v1/schedule-runs/{run}", "schedules:read"),
    ("get", "/api/v1/schedule-runs/{run}/log", "schedules:read"),
    ("get", "/api/v1/schedule-runs/{run}/events", "schedules:read"),
    ("post", "/api/v1/schedule-runs/{run}/retry", "schedules:run"),
    ("post", "/api/v1/schedule-runs/{run}/cancel", "schedules:run"),
]
NAMES = {"name": "nightly", "run": "m1-x", "blackout": "holidays"}
ALL = {"schedules:read", "schedules:write", "schedules:run", "schedules:delete"}


def bearer(secret: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}"}


def assert_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"] != "Something went wrong"
    assert {"type", "code", "detail"} <= body.keys()
    return body


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
def test_without_credentials_every_door_answers_401(db: None, method: str, path: str, scope: str) -> None:
    response = getattr(APIClient(), method)(path.format(**NAMES))
    assert assert_problem(response, 401)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
def test_every_door_names_the_scope_that_is_missing(client_with: Any, method: str, path: str, scope: str) -> None:
    client = client_with(*(ALL - {scope}))
    body = assert_problem(getattr(client, method)(path.format(**NAMES)), 403)
    assert scope in body["detail"]


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
def test_one_scope_opens_its_door(client_with: Any, method: str, path: str, scope: str) -> None:
    response = getattr(client_with(scope), method)(path.format(**NAMES), {}, format="json")
    assert response.status_code in {200, 400, 404}


@pytest.mark.parametrize(("method", "path", "scope"), [door for door in DOORS if "{" in door[1]])
def test_another_organisations_object_is_404(
    new_schedule: Any, stranger: APIClient, method: str, path: str, scope: str
) -> None:
    schedule = new_schedule()
    run = run_now(schedule=schedule, actor=ACTOR).run
    calendar = blackout_create(
        organisation=schedule.organisation, actor=ACTOR, name="holidays", windows="sat,sun", for_all=True
    )
    body = {"executor": "test.trace", "expression": "@daily"} if method in {"put", "patch"} else {}
    names = {"name": schedule.name, "run": run.job_run_id, "blackout": calendar.name}
    response = getattr(stranger, method)(path.format(**names), body, format="json")
    assert_problem(response, 404)
    calendar.refresh_from_db()
    schedule.refresh_from_db()
    run.refresh_from_db()
    assert (schedule.version, schedule.enabled, run.status) == (1, True, "queued")


def test_lists_show_only_the_callers_organisation(new_schedule: Any, stranger: APIClient, other_org: Any) -> None:
    run_now(schedule=new_schedule(), actor=ACTOR)
    mine = new_schedule("mine", organisation=other_org)
    run = run_now(schedule=mine, actor=ACTOR).run
    assert [each["name"] for each in stranger.get(URL).json()["results"]] == ["mine"]
    assert [each["job_run_id"] for each in stranger.get(RUNS).json()["results"]] == [run.job_run_id]


def test_another_organisations_agent_cant_be_named(agent: Any, stranger: APIClient) -> None:
    body = {"display_name": "x", "expression": "@daily", "executor": "test.trace", "agent": agent.slug}
    problem = assert_problem(stranger.post(URL, body, format="json"), 400)
    assert problem["errors"] == {"agent": ["There is no agent 'night' in your organisation."]}


def test_a_key_works_and_its_use_is_noted(org: Organisation, new_key: Any) -> None:
    secret = new_key(org, "schedules:read")
    assert APIClient().get(URL, **bearer(secret)).status_code == 200
    assert ApiKey.objects.get().last_used_at is not None


def test_a_revoked_key_is_refused(org: Organisation, new_key: Any) -> None:
    secret = new_key(org, "schedules:read", name="ci")
    apikey_revoke(organisation=org, name="ci", actor=ACTOR)
    assert assert_problem(APIClient().get(URL, **bearer(secret)), 401)["code"] == "authentication_failed"


def test_an_expired_key_is_refused(org: Organisation, new_key: Any) -> None:
    secret = new_key(org, "schedules:read", expires_at=datetime.now(UTC) + timedelta(hours=1))
    ApiKey.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert_problem(APIClient().get(URL, **bearer(secret)), 401)


@pytest.mark.parametrize("value", ["", "wb_", "wb_x_y", "nonsense", "wb_00000000_\xe9", "a b c"])
def test_a_key_that_never_was_is_refused(db: None, value: str) -> None:
    assert_problem(APIClient().get(URL, HTTP_AUTHORIZATION=f"Bearer {value}"), 401)


def test_the_secret_must_be_right_not_only_the_prefix(org: Organisation, new_key: Any) -> None:
    secret = new_key(org, "schedules:read")
    assert_problem(APIClient().get(URL, **bearer(secret[:-1] + ("A" if secret[-1] != "A" else "B"))), 401)


def test_a_key_of_a_closed_organisation_is_refused(org: Organisation, new_key: Any) -> None:
    secret = new_key(org, "schedules:read")
    organisation_update(organisation=org, is_active=False, actor=ACTOR)
    assert_problem(APIClient().get(URL, **bearer(secret)), 401)


def test_a_session_reads_without_and_writes_with_a_csrf_token(member: Any, new_schedule: Any) -> None:
    new_schedule()
    client = Client(enforce_csrf_checks=True)
    client.force_login(member())
    assert client.get(URL).status_code == 200
    refused = client.post(f"{URL}/nightly/disable", {}, content_type="application/json")
    assert "CSRF" in assert_problem(refused, 403)["detail"]
    client.get("/admin/login/", follow=True)
    token = "a" * 32
    client.cookies["csrftoken"] = token
    taken = client.post(f"{URL}/nightly/disable", {}, content_type="application/json", HTTP_X_CSRFTOKEN=token)
    assert taken.status_code == 200, taken.content


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 403), ("admin", 200), ("owner", 200)])
def test_a_role_decides_what_a_member_may_do(member: Any, new_schedule: Any, role: str, status: int) -> None:
    new_schedule()
    client = APIClient()
    client.force_login(member(role))
    assert client.get(URL).status_code == 200
    assert client.post(f"{URL}/nightly/disable", {}, format="json").status_code == status


def test_a_member_of_two_organisations_names_one(member: Any, other_org: Any, new_schedule: Any) -> None:
    new_schedule("mine", organisation=other_org)
    member("viewer")
    client = APIClient()
    client.force_login(member("viewer", organisation=other_org))
    problem = assert_problem(client.get(URL), 400)
    assert "acme, rival" in problem["errors"]["X-Organisation"][0]
    chosen = client.get(URL, HTTP_X_ORGANISATION="rival").json()
    assert [each["name"] for each in chosen["results"]] == ["mine"]


def test_naming_an_organisation_one_is_not_in_tells_nothing_of_it(member: Any, other_org: Any) -> None:
    client = APIClient()
    client.force_login(member("owner"))
    real = client.get(URL, HTTP_X_ORGANISATION="rival")
    made_up = client.get(URL, HTTP_X_ORGANISATION="nowhere")
    assert assert_problem(real, 400) == assert_problem(made_up, 400)


def test_a_person_without_an_organisation_is_told_so(django_user_model: Any) -> None:
    client = APIClient()
    client.force_login(django_user_model.objects.create_user("nobody"))
    assert "not a member" in assert_problem(client.get(URL), 403)["detail"]


def test_a_superuser_acts_in_the_organisation_that_is_named(org: Any, other_org: Any, admin_user: Any) -> None:
    client = APIClient()
    client.force_login(admin_user)
    assert client.get(URL, HTTP_X_ORGANISATION="acme").status_code == 200
    assert_problem(client.get(URL), 400)
