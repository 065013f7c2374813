"""API keys in the ``Authorization`` header: ``Bearer wb_PREFIX_SECRET``."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from fleet.models import ApiKey
from fleet.services.apikeys import apikey_authenticate


class KeyHolder(AnonymousUser):
    """The user of a request that came with an API key: no person, but authenticated."""

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[KeyHolder, ApiKey] | None:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = apikey_authenticate(secret.strip())
        if key is None:
            raise AuthenticationFailed("This API key is unknown, revoked or expired.")
        return KeyHolder(), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's signature
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document names it."""

    target_class = "fleet.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer", "description": "An API key: `wb_PREFIX_SECRET`."}
