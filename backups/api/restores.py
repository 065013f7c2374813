"""``/api/v1/restores``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.filters import RestoreFilter
from backups.api.serializers import RestoreSerializer
from backups.models import Restore
from backups.refusals import told_as_refusals
from backups.services.requesting import undo_request
from backups.services.restores import restore_confirm
from fleet.viewsets import ScopedViewSet
from schedules.api.requested import requested_response
from schedules.api.run_serializers import RequestedRunSerializer
from schedules.api.schedule_serializers import NothingSerializer


@extend_schema_view(
    list=extend_schema(summary="List restores, the newest first"), retrieve=extend_schema(summary="One restore")
)
class RestoreViewSet(RetrieveModelMixin, ListModelMixin, ScopedViewSet[Restore]):
    queryset = Restore.objects.select_related("organisation")
    lookup_value_regex = "[0-9]+"
    filterset_class = RestoreFilter
    serializer_class = RestoreSerializer
    scopes: ClassVar[Mapping[str, str]] = {
        "list": "backups:read",
        "retrieve": "backups:read",
        # It removes the former tree for good; to go back to it removes nothing that no archive has.
        "confirm": "backups:delete",
        "undo": "backups:run",
    }

    @extend_schema(
        operation_id="restores_confirm",
        summary="It is right: the former tree, which was kept, is removed",
        request=NothingSerializer,
        responses=RestoreSerializer,
    )
    @action(methods=["post"], detail=True)
    def confirm(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - get_object reads the address
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        with told_as_refusals():
            done = restore_confirm(restore=self.get_object(), actor=self.caller.actor)
        return Response(RestoreSerializer(done).data)

    @extend_schema(
        operation_id="restores_undo",
        summary="Bring the former tree back: a run that holds the agent alone; 409 with the reason where it can't be",
        request=NothingSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True)
    def undo(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        return requested_response(undo_request(restore=self.get_object(), actor=self.caller.actor))
