"""``/api/v1/blackouts``: times in which no job fires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.pagination import ByName
from fleet.viewsets import ScopedViewSet
from schedules.api.blackout_serializers import BlackoutInputSerializer, BlackoutSerializer
from schedules.models import BlackoutCalendar
from schedules.services.blackouts import blackout_create, blackout_delete, blackout_update


@extend_schema_view(
    list=extend_schema(summary="List blackout calendars by name"),
    retrieve=extend_schema(summary="One calendar, with its windows in words"),
)
class BlackoutViewSet(RetrieveModelMixin, ListModelMixin, ScopedViewSet[BlackoutCalendar]):
    queryset = BlackoutCalendar.objects.select_related("organisation").prefetch_related("schedules")
    lookup_field = "name"
    lookup_value_regex = "[a-z0-9][a-z0-9_-]*"
    pagination_class = ByName
    serializer_class = BlackoutSerializer
    scopes: ClassVar[Mapping[str, str]] = {
        "list": "schedules:read",
        "retrieve": "schedules:read",
        "create": "schedules:write",
        "partial_update": "schedules:write",
        "destroy": "schedules:delete",
    }

    @extend_schema(summary="Make a calendar", request=BlackoutInputSerializer, responses={201: BlackoutSerializer})
    def create(self, request: Request) -> Response:
        values = self._parsed(request)
        calendar = blackout_create(organisation=self.caller.organisation, actor=self.caller.actor, **values)
        location = reverse("blackout-detail", args=[calendar.name])
        shown = BlackoutSerializer(calendar).data
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(
        summary="Change fields of a calendar; fires that are planned already stay",
        request=BlackoutInputSerializer,
        responses=BlackoutSerializer,
    )
    def partial_update(self, request: Request, name: str) -> Response:  # noqa: ARG002 - get_object reads the address
        calendar = self.get_object()
        changed = blackout_update(calendar=calendar, actor=self.caller.actor, **self._parsed(request, partial=True))
        return Response(BlackoutSerializer(changed).data)

    @extend_schema(
        summary="Delete a calendar: its windows stop nothing any more",
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def destroy(self, request: Request, name: str) -> Response:  # noqa: ARG002
        blackout_delete(calendar=self.get_object(), actor=self.caller.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _parsed(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        context = self.get_serializer_context()
        parser = BlackoutInputSerializer(data=request.data, partial=partial, context=context)
        parser.is_valid(raise_exception=True)
        values: dict[str, Any] = parser.validated_data
        return values
