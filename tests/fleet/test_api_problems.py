"""Errors as problems: what each becomes, and how nested fields are named."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import Http404
from rest_framework import exceptions

from fleet.errors import Conflict, DomainError, InvalidInput, NameTaken, NotAllowed, NotFound
from fleet.problems import problem_response


def problem(error: Exception) -> tuple[int, dict[str, Any]]:
    response = problem_response(error, {})
    assert response is not None
    assert response.content_type == "application/problem+json"
    assert response.data is not None
    return response.status_code, response.data


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput("no", field="name"), 400, "invalid"),
        (NameTaken("no", field="name"), 409, "taken"),
        (Conflict("no"), 409, "conflict"),
        (NotFound("no"), 404, "not_found"),
        (NotAllowed("no"), 403, "not_allowed"),
        (DomainError("no", code="own"), 400, "own"),
        (Http404(), 404, "not_found"),
        (exceptions.Throttled(), 429, "throttled"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
    ],
)
def test_each_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    number, body = problem(error)
    assert (number, body["status"], body["code"]) == (status, status, code)
    assert body["detail"]


def test_a_domain_error_names_its_field() -> None:
    assert problem(InvalidInput("no", field="name"))[1]["errors"] == {"name": ["no"]}
    assert "errors" not in problem(Conflict("no"))[1]


@pytest.mark.parametrize(
    ("detail", "errors"),
    [
        ({"a": ["x", "y"]}, {"a": ["x", "y"]}),
        ({"a": {"b": ["x"]}}, {"a.b": ["x"]}),
        ({"a": [{}, {"b": ["x"]}]}, {"a.1.b": ["x"]}),
        ({"a": {1: ["x"]}}, {"a.1": ["x"]}),
        ({"non_field_errors": ["x"]}, {"body": ["x"]}),
        ({"a": {"non_field_errors": ["x"]}}, {"a": ["x"]}),
        (["x"], {"body": ["x"]}),
        ("x", {"body": ["x"]}),
    ],
)
def test_nested_errors_are_flat_with_their_path(detail: Any, errors: dict[str, list[str]]) -> None:
    assert problem(exceptions.ValidationError(detail))[1]["errors"] == errors


def test_an_error_of_ours_stays_one() -> None:
    assert problem_response(ZeroDivisionError(), {}) is None
