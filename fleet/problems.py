"""Errors of the API as ``application/problem+json`` (RFC 9457), with an error for each field."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from fleet.errors import Conflict, DomainError, NameTaken, NotAllowed, NotFound

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "The request can't be taken as it is",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "This address does not take that method",
    406: "No such representation",
    409: "Not possible in the present state",
    413: "The body is too large",
    415: "The body must be JSON",
    429: "Too many requests",
}


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """The framework's exception handler: what is not known here stays an error of the server."""
    if isinstance(error, DomainError):
        return _problem(_domain_status(error), detail=error.message, errors=_field_errors(error), code=error.code)
    if isinstance(error, exceptions.ValidationError):
        return _problem(400, detail="Some fields are not valid.", errors=_flat(error.detail), code="invalid")
    if isinstance(error, RequestDataTooBig):
        return _problem(413, detail="The body is longer than this server reads.", errors={}, code="too_large")
    plain = exception_handler(error, context)
    if plain is None:
        return None
    response = _problem(plain.status_code, detail=_detail(error), errors={}, code=_code(error))
    for name, value in plain.headers.items():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def problem_body(code_number: int, *, detail: str, code: str) -> dict[str, Any]:
    """The members that every problem has."""
    return {
        "type": "about:blank",
        "title": _TITLES.get(code_number, "Something went wrong"),
        "status": code_number,
        "code": code,
        "detail": detail,
    }


def _problem(code_number: int, *, detail: str, errors: dict[str, list[str]], code: str) -> Response:
    body = problem_body(code_number, detail=detail, code=code)
    if errors:
        body["errors"] = errors
    return Response(body, status=code_number, content_type=CONTENT_TYPE)


def _domain_status(error: DomainError) -> int:
    if isinstance(error, NotAllowed):
        return status.HTTP_403_FORBIDDEN
    if isinstance(error, NotFound):
        return status.HTTP_404_NOT_FOUND
    if isinstance(error, Conflict | NameTaken):
        return status.HTTP_409_CONFLICT
    return status.HTTP_400_BAD_REQUEST


def _field_errors(error: DomainError) -> dict[str, list[str]]:
    return {error.field: [error.message]} if error.field else {}


def _flat(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Nested errors as ``{"payload.command": ["…"]}``; what concerns no single field is under ``body``."""
    if isinstance(detail, list) and any(isinstance(each, dict) for each in detail):
        detail = {str(index): each for index, each in enumerate(detail) if each}
    if isinstance(detail, dict):
        flat: dict[str, list[str]] = {}
        for name, each in detail.items():
            path = [prefix] if prefix else []
            path += [] if name == api_settings.NON_FIELD_ERRORS_KEY else [str(name)]
            flat |= _flat(each, ".".join(path))
        return flat
    return {prefix or "body": [str(each) for each in (detail if isinstance(detail, list) else [detail])]}


def _detail(error: Exception) -> str:
    if isinstance(error, exceptions.APIException):
        return str(error.detail)
    return "There is no such object here." if isinstance(error, Http404) else str(error) or "Not allowed."


def _code(error: Exception) -> str:
    if isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        return codes if isinstance(codes, str) else "invalid"
    return "permission_denied" if isinstance(error, PermissionDenied) else "not_found"
