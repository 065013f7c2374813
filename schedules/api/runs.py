"""``/api/v1/schedule-runs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.pagination import OldestFirst
from fleet.viewsets import ScopedViewSet
from schedules.api.filters import RunFilter
from schedules.api.plain_text import PlainTextRenderer
from schedules.api.requested import requested_response
from schedules.api.run_serializers import (
    LogPageSerializer,
    RequestedRunSerializer,
    RunEventSerializer,
    RunSerializer,
)
from schedules.api.schedule_serializers import NothingSerializer
from schedules.models import Run, RunEvent
from schedules.services.logs import log_lines, log_page
from schedules.services.runs import run_cancel, run_retry


@extend_schema_view(list=extend_schema(summary="List runs, newest first"), retrieve=extend_schema(summary="One run"))
class RunViewSet(RetrieveModelMixin, ListModelMixin, ScopedViewSet[Run]):
    queryset = Run.objects.select_related("organisation", "schedule", "agent", "retry_of")
    lookup_field = "job_run_id"
    lookup_value_regex = "[A-Za-z0-9_.:-]+"
    filterset_class = RunFilter
    serializer_class = RunSerializer
    scopes: ClassVar[Mapping[str, str]] = {
        "list": "schedules:read",
        "retrieve": "schedules:read",
        "log": "schedules:read",
        "events": "schedules:read",
        "retry": "schedules:run",
        "cancel": "schedules:run",
    }

    @extend_schema(
        operation_id="schedule_runs_log",
        summary="Its log, from where the reader left off; as plain text the whole of it",
        parameters=[OpenApiParameter("after", str, description="`next` of an earlier page.")],
        responses={(200, "application/json"): LogPageSerializer, (200, "text/plain"): OpenApiTypes.STR},
    )
    @action(detail=True, filterset_class=None, renderer_classes=[JSONRenderer, PlainTextRenderer])
    def log(self, request: Request, job_run_id: str) -> Response:  # noqa: ARG002 - get_object reads the address
        run = self.get_object()
        if isinstance(request.accepted_renderer, PlainTextRenderer):
            return Response("".join(f"{line.text}\n" for line in log_lines(run)))
        page = log_page(run, after=request.query_params.get("after", ""))
        # Whether it is over was read before its lines, so that no line can come after "complete".
        body: dict[str, Any] = {"lines": page.lines, "next": page.cursor, "complete": run.is_over and not page.lines}
        return Response(LogPageSerializer(body).data)

    @extend_schema(
        operation_id="schedule_runs_events_list",
        summary="What happened to it and why, oldest first",
        responses=RunEventSerializer(many=True),
    )
    @action(detail=True, pagination_class=OldestFirst, filterset_class=None)
    def events(self, request: Request, job_run_id: str) -> Response:  # noqa: ARG002
        rows: Any = RunEvent.objects.filter(run=self.get_object())
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(RunEventSerializer(page, many=True).data)

    @extend_schema(
        operation_id="schedule_runs_retry",
        summary="Run again what is over, as it was",
        request=NothingSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True)
    def retry(self, request: Request, job_run_id: str) -> Response:  # noqa: ARG002
        self._refuse_fields(request)
        return requested_response(run_retry(run=self.get_object(), actor=self.caller.actor))

    @extend_schema(
        operation_id="schedule_runs_cancel",
        summary="Cancel it: at once while it waits (200), within seconds while it runs (202)",
        request=NothingSerializer,
        responses={200: RunSerializer, 202: RunSerializer},
    )
    @action(methods=["post"], detail=True)
    def cancel(self, request: Request, job_run_id: str) -> Response:  # noqa: ARG002
        self._refuse_fields(request)
        run = run_cancel(run=self.get_object(), actor=self.caller.actor)
        code = status.HTTP_200_OK if run.is_over else status.HTTP_202_ACCEPTED
        return Response(RunSerializer(run).data, status=code)

    def _refuse_fields(self, request: Request) -> None:
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
