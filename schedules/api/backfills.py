"""``/api/v1/schedules/{name}/backfills``: fires of the past that are run after all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.pagination import NewestFirst
from schedules.api.backfill_serializers import BackfillInputSerializer, BackfillPlanSerializer, BackfillSerializer
from schedules.models import Schedule
from schedules.services.backfills import backfill_plan, backfill_start

if TYPE_CHECKING:
    from fleet.viewsets import ScopedViewSet

    class _View(ScopedViewSet[Schedule]): ...
else:
    _View = object


class BackfillActions(_View):
    @extend_schema(
        operation_id="schedules_backfills_list",
        summary="Its backfills, newest first",
        responses=BackfillSerializer(many=True),
    )
    @action(detail=True, pagination_class=NewestFirst, filterset_class=None)
    def backfills(self, request: Request, name: str) -> Response:  # noqa: ARG002 - get_object reads the address
        rows: Any = self.get_object().backfills.all()
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(BackfillSerializer(page, many=True).data)

    @extend_schema(
        operation_id="schedules_backfill",
        summary="Run its fires of a range after all: with dry_run only say what that would be (200), else do it (202)",
        request=BackfillInputSerializer,
        responses={200: BackfillPlanSerializer, 202: BackfillSerializer},
    )
    @backfills.mapping.post
    def backfill(self, request: Request, name: str) -> Response:
        schedule = self.get_object()
        parser = BackfillInputSerializer(data=request.data)
        parser.is_valid(raise_exception=True)
        asked: dict[str, Any] = dict(parser.validated_data)
        limit, dry_run = asked.pop("max_concurrent_runs", 1), asked.pop("dry_run")
        asked |= {"schedule": schedule, "begin": asked.pop("from"), "end": asked.pop("to")}
        if dry_run:
            return Response(BackfillPlanSerializer(backfill_plan(**asked)).data)
        backfill = backfill_start(**asked, max_concurrent_runs=limit, actor=self.caller.actor)
        location = reverse("schedule-backfills", args=[name])
        shown = BackfillSerializer(backfill).data
        return Response(shown, status=status.HTTP_202_ACCEPTED, headers={"Location": location})
