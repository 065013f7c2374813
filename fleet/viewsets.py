"""What every view set of the API starts from: one organisation's rows, one scope for each action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.viewsets import GenericViewSet

from fleet.caller import Caller
from fleet.openapi import ProblemSchema
from fleet.parsers import BoundedJSONParser

M = TypeVar("M", bound=Model)


class ScopedViewSet(GenericViewSet[M]):
    """``scopes`` maps each action to the scope it needs. ``queryset`` has a method ``of(organisation)``.

    The one place where rows are confined to the caller's organisation: another's object is therefore a 404.
    """

    scopes: ClassVar[Mapping[str, str]] = {}
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]  # noqa: RUF012 - as the framework has it
    parser_classes = [BoundedJSONParser]  # noqa: RUF012
    schema = ProblemSchema()

    @property
    def caller(self) -> Caller:
        """Found once a request, by :class:`fleet.permissions.HasScope`."""
        caller: Caller = self.request.caller  # type: ignore[attr-defined]
        return caller

    def get_queryset(self) -> QuerySet[M]:
        rows: Any = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):  # the OpenAPI document is made without a caller
            return rows.none()  # type: ignore[no-any-return]
        return rows.of(self.caller.organisation)  # type: ignore[no-any-return]
