"""``/api/v1/schedules/{name}/ledger`` and ``/why``: what became of its fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from schedules.api.ledger_serializers import (
    AnswerSerializer,
    LedgerPageSerializer,
    LedgerQuerySerializer,
    WhyQuerySerializer,
)
from schedules.engine.clock import database_now
from schedules.services.ledgerpages import LedgerPage, ledger_page
from schedules.services.why import why

if TYPE_CHECKING:
    from fleet.viewsets import ScopedViewSet
    from schedules.models import Schedule

    class _View(ScopedViewSet[Schedule]): ...
else:
    _View = object


class LedgerActions(_View):
    @extend_schema(
        operation_id="schedules_ledger",
        summary="What became of its fires: runs and what was skipped, the latest first, with a verdict",
        parameters=[LedgerQuerySerializer],
        responses=LedgerPageSerializer,
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def ledger(self, request: Request, name: str) -> Response:  # noqa: ARG002 - get_object reads the address
        schedule = self.get_object()
        asked = _asked(LedgerQuerySerializer, request)
        limit = asked.pop("page_size")
        page = ledger_page(schedule, now=database_now(), limit=limit, **asked)
        return Response(LedgerPageSerializer(page, context={"next": _next(request, page)}).data)

    @extend_schema(
        operation_id="schedules_why",
        summary="Why it ran or did not, in sentences",
        parameters=[WhyQuerySerializer],
        responses=AnswerSerializer,
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def why(self, request: Request, name: str) -> Response:  # noqa: ARG002
        schedule = self.get_object()
        at = _asked(WhyQuerySerializer, request).get("at")
        return Response(AnswerSerializer(why(schedule, at=at, now=database_now())).data)


def _asked(serializer: Any, request: Request) -> dict[str, Any]:
    """The question in the address, read as strictly as a body."""
    parser = serializer(data={name: value for name, value in request.query_params.items() if name != "format"})
    parser.is_valid(raise_exception=True)
    values: dict[str, Any] = parser.validated_data
    return values


def _next(request: Request, page: LedgerPage) -> str | None:
    if page.older is None:
        return None
    url = request.build_absolute_uri()
    for name, moment in (("after", page.after), ("through", page.older)):
        url = replace_query_param(url, name, f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}")
    return url
