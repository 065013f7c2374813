"""The OpenAPI document, and its pages without a network."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document; making it warns of nothing and it is valid."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    made: dict[str, Any] = json.loads(out.getvalue())
    return made


def test_it_is_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_how_it_refuses(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for code in ("400", "401", "403"):
                content = operation["responses"][code]["content"]
                assert list(content) == ["application/problem+json"], (path, method)


def test_run_now_is_documented_as_accepted(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/v1/schedules/{name}/run-now"]["post"]["responses"]
    assert "202" in responses
    assert "200" not in responses


def test_the_log_is_documented_in_both_forms(document: dict[str, Any]) -> None:
    log = document["paths"]["/api/v1/schedule-runs/{job_run_id}/log"]["get"]
    assert set(log["responses"]["200"]["content"]) == {"application/json", "text/plain"}
    assert {"after", "format", "job_run_id", "X-Organisation"} == {each["name"] for each in log["parameters"]}


def test_both_ways_to_log_in_are_named(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "cookieAuth"}


def test_schema_and_docs_are_readable_without_a_login(client: Client) -> None:
    assert client.get("/api/schema").status_code == 200
    assert client.get("/api/schema", HTTP_AUTHORIZATION="Bearer nonsense").status_code == 200
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert "unsafe-inline" in page["Content-Security-Policy"]
    assert "unsafe-inline" not in client.get("/api/schema")["Content-Security-Policy"]


def test_the_docs_load_nothing_from_elsewhere(client: Client) -> None:
    text = client.get("/api/docs").content.decode()
    assert "swagger-ui-bundle.js" in text
    assert "http://" not in text.replace("http://testserver", "")
    assert "https://" not in text


def test_the_questions_to_the_ledger_are_documented(document: dict[str, Any]) -> None:
    paths = document["paths"]
    ledger, why = (paths[f"/api/v1/schedules/{{name}}/{each}"]["get"] for each in ("ledger", "why"))
    assert {"after", "through", "page_size"} < {each["name"] for each in ledger["parameters"]}
    assert {each["name"] for each in why["parameters"]} == {"at", "name", "X-Organisation"}
    assert "404" in ledger["responses"]


def test_a_backfill_is_documented_looked_at_and_done(document: dict[str, Any]) -> None:
    backfills = document["paths"]["/api/v1/schedules/{name}/backfills"]
    assert {"200", "202", "403", "404", "409"} <= backfills["post"]["responses"].keys()
    body = backfills["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][body]["required"]) == {"from", "to", "dry_run"}
    assert "200" in backfills["get"]["responses"]
    assert {"get", "patch", "delete"} == document["paths"]["/api/v1/blackouts/{name}"].keys()
