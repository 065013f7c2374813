"""What the OpenAPI document says of every operation: how it refuses, and how its organisation is chosen."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from fleet.caller import ORGANISATION_HEADER
from fleet.problems import CONTENT_TYPE


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. ``code`` is stable; ``errors`` has the texts for each field at fault."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)  # type: ignore[assignment] # only where it is declared

    class Meta:
        ref_name = "Problem"


class ProblemSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        return [
            OpenApiParameter(
                ORGANISATION_HEADER,
                str,
                OpenApiParameter.HEADER,
                description="The slug of one of your organisations; needed by a person who has several.",
            )
        ]

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code in self._refusals():
            if code not in bodies:
                bodies[code] = self._get_response_for_code(ProblemSerializer, code, [CONTENT_TYPE], direction)  # type: ignore[no-untyped-call]
        return bodies

    def _refusals(self) -> list[str]:
        named = bool(getattr(self.view, "detail", False))
        writes = self.method not in {"GET", "HEAD"}
        return ["400", "401", "403", *(["404"] if named else []), *(["409", "415"] if writes else [])]
