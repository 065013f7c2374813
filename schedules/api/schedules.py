"""``/api/v1/schedules``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from fleet.pagination import ByName, NewestFirst
from fleet.viewsets import ScopedViewSet
from schedules.api.backfills import BackfillActions
from schedules.api.filters import ScheduleFilter
from schedules.api.ledger import LedgerActions
from schedules.api.requested import requested_response
from schedules.api.run_serializers import RequestedRunSerializer, RunSerializer
from schedules.api.schedule_serializers import (
    NothingSerializer,
    PauseSerializer,
    ScheduleDetailSerializer,
    ScheduleInputSerializer,
    ScheduleSerializer,
    replacement,
)
from schedules.models import Run, Schedule
from schedules.services.runs import run_now
from schedules.services.schedules import (
    schedule_create,
    schedule_delete,
    schedule_disable,
    schedule_enable,
    schedule_update,
)


@extend_schema_view(
    list=extend_schema(summary="List schedules by name"),
    retrieve=extend_schema(summary="One schedule, with its next fires", responses=ScheduleDetailSerializer),
)
class ScheduleViewSet(LedgerActions, BackfillActions, RetrieveModelMixin, ListModelMixin, ScopedViewSet[Schedule]):
    queryset = Schedule.objects.select_related("organisation", "agent", "run_after")
    lookup_field = "name"
    lookup_value_regex = "[a-z0-9][a-z0-9_-]*"
    pagination_class = ByName
    filterset_class = ScheduleFilter
    serializer_class = ScheduleSerializer
    scopes: ClassVar[Mapping[str, str]] = {
        "list": "schedules:read",
        "retrieve": "schedules:read",
        "runs": "schedules:read",
        "ledger": "schedules:read",
        "why": "schedules:read",
        "backfills": "schedules:read",
        "create": "schedules:write",
        "update": "schedules:write",
        "partial_update": "schedules:write",
        "enable": "schedules:write",
        "disable": "schedules:write",
        "run_now": "schedules:run",
        "backfill": "schedules:run",
        "destroy": "schedules:delete",
    }

    def get_serializer_class(self) -> type[BaseSerializer[Schedule]]:
        return ScheduleDetailSerializer if self.action == "retrieve" else ScheduleSerializer

    @extend_schema(
        summary="Create a schedule", request=ScheduleInputSerializer, responses={201: ScheduleDetailSerializer}
    )
    def create(self, request: Request) -> Response:
        values = self._parsed(ScheduleInputSerializer, request)
        schedule = schedule_create(organisation=self.caller.organisation, actor=self.caller.actor, **values)
        response = self._shown(schedule, status.HTTP_201_CREATED)
        response.headers["Location"] = reverse("schedule-detail", args=[schedule.name])
        return response

    @extend_schema(
        summary="Replace a schedule: what is left out gets its default",
        request=ScheduleInputSerializer,
        responses=ScheduleDetailSerializer,
    )
    def update(self, request: Request, name: str) -> Response:  # noqa: ARG002 - get_object reads the address
        schedule = self.get_object()
        values = replacement(self._parsed(ScheduleInputSerializer, request, schedule))
        return self._shown(schedule_update(schedule=schedule, actor=self.caller.actor, **values))

    @extend_schema(
        summary="Change fields of a schedule", request=ScheduleInputSerializer, responses=ScheduleDetailSerializer
    )
    def partial_update(self, request: Request, name: str) -> Response:  # noqa: ARG002
        schedule = self.get_object()
        values = self._parsed(ScheduleInputSerializer, request, schedule, partial=True)
        return self._shown(schedule_update(schedule=schedule, actor=self.caller.actor, **values))

    @extend_schema(
        summary="Delete a schedule; its runs stay, those not over are cancelled",
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def destroy(self, request: Request, name: str) -> Response:  # noqa: ARG002
        schedule_delete(schedule=self.get_object(), actor=self.caller.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="schedules_enable",
        summary="Let it fire again",
        request=NothingSerializer,
        responses=ScheduleDetailSerializer,
    )
    @action(methods=["post"], detail=True)
    def enable(self, request: Request, name: str) -> Response:  # noqa: ARG002
        self._parsed(NothingSerializer, request)
        return self._shown(schedule_enable(schedule=self.get_object(), actor=self.caller.actor))

    @extend_schema(
        operation_id="schedules_disable",
        summary="Pause it, with a reason",
        request=PauseSerializer,
        responses=ScheduleDetailSerializer,
    )
    @action(methods=["post"], detail=True)
    def disable(self, request: Request, name: str) -> Response:  # noqa: ARG002
        values = self._parsed(PauseSerializer, request)
        return self._shown(schedule_disable(schedule=self.get_object(), actor=self.caller.actor, **values))

    @extend_schema(
        operation_id="schedules_run_now",
        summary="Run it now, whatever its timing and state",
        request=NothingSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True, url_path="run-now")
    def run_now(self, request: Request, name: str) -> Response:  # noqa: ARG002
        self._parsed(NothingSerializer, request)
        return requested_response(run_now(schedule=self.get_object(), actor=self.caller.actor))

    @extend_schema(
        operation_id="schedules_runs_list", summary="Its runs, newest first", responses=RunSerializer(many=True)
    )
    @action(detail=True, pagination_class=NewestFirst, filterset_class=None)
    def runs(self, request: Request, name: str) -> Response:  # noqa: ARG002
        schedule = self.get_object()
        rows: Any = Run.objects.of(self.caller.organisation).filter(schedule=schedule)
        page: Any = self.paginate_queryset(rows.select_related("schedule", "agent", "retry_of"))
        return self.get_paginated_response(RunSerializer(page, many=True).data)

    def _parsed(
        self,
        serializer: type[BaseSerializer[Any]],
        request: Request,
        schedule: Schedule | None = None,
        *,
        partial: bool = False,
    ) -> dict[str, Any]:
        parser = serializer(schedule, data=request.data, partial=partial, context=self.get_serializer_context())
        parser.is_valid(raise_exception=True)
        values: dict[str, Any] = parser.validated_data
        return values

    def _shown(self, schedule: Schedule, code: int = status.HTTP_200_OK) -> Response:
        return Response(ScheduleDetailSerializer(schedule).data, status=code)
