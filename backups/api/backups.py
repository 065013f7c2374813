"""``/api/v1/backups``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from backups.api.filters import BackupFilter
from backups.api.input import BackupInputSerializer, RestoreInputSerializer
from backups.api.pagination import NewestTaken
from backups.api.serializers import BackupSerializer, DrillSerializer
from backups.models import Backup
from backups.reads import with_drills
from backups.services.discarding import backup_discard
from backups.services.requesting import backup_request, drill_request, restore_request, verify_request
from fleet.pagination import NewestFirst
from fleet.viewsets import ScopedViewSet
from schedules.api.requested import requested_response
from schedules.api.run_serializers import RequestedRunSerializer
from schedules.api.schedule_serializers import NothingSerializer

#: Whoever says what is kept makes others go, and whoever says for whom it is encrypted may be the only one to read it.
_DECIDED = ("keep", "recipient")


@extend_schema_view(
    list=extend_schema(summary="List backups, the newest first; deleted ones only when that state is asked for"),
    retrieve=extend_schema(summary="One backup"),
)
class BackupViewSet(RetrieveModelMixin, ListModelMixin, ScopedViewSet[Backup]):
    queryset = with_drills(Backup.objects.select_related("organisation"))
    lookup_value_regex = "[0-9]+"
    pagination_class = NewestTaken
    filterset_class = BackupFilter
    serializer_class = BackupSerializer
    scopes: ClassVar[Mapping[str, str]] = {
        "list": "backups:read",
        "retrieve": "backups:read",
        "drills": "backups:read",
        "create": "backups:run",
        "verify": "backups:run",
        "drill": "backups:run",
        "restore": "backups:run",
        "destroy": "backups:delete",
    }

    def filter_queryset(self, queryset: Any) -> Any:
        """One that is named is found whatever its state: the record of a deleted one says why it is gone."""
        return super().filter_queryset(queryset) if self.action == "list" else queryset

    @extend_schema(
        summary="Make a backup now: a run that does it",
        request=BackupInputSerializer,
        responses={202: RequestedRunSerializer},
    )
    def create(self, request: Request) -> Response:
        asked = self._parsed(BackupInputSerializer, request)
        decided = [name for name in _DECIDED if name in asked]
        if decided and "backups:write" not in self.caller.scopes:
            raise PermissionDenied(
                f"To say {' or '.join(decided)} needs the scope 'backups:write', which your key or role does not have."
            )
        agent, kind = asked.pop("agent"), asked.pop("kind")
        requested = backup_request(
            organisation=self.caller.organisation, agent=agent, kind=kind, options=asked, actor=self.caller.actor
        )
        return requested_response(requested)

    @extend_schema(
        summary="Delete its archive; the record stays and says who did it. 409 for the last good one of its kind",
        responses={204: OpenApiResponse(description="It is deleted.")},
    )
    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - get_object reads the address
        backup_discard(backup=self.get_object(), actor=self.caller.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="backups_verify",
        summary="Read it again from its first byte to its last: a run that does it",
        request=NothingSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True)
    def verify(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        self._parsed(NothingSerializer, request)
        return requested_response(verify_request(backup=self.get_object(), actor=self.caller.actor))

    @extend_schema(
        operation_id="backups_drill",
        summary="Try to restore it in a sandbox: a run that does it and takes the time",
        request=NothingSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True)
    def drill(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        self._parsed(NothingSerializer, request)
        return requested_response(drill_request(backup=self.get_object(), actor=self.caller.actor))

    @extend_schema(
        operation_id="backups_drills_list",
        summary="Its drills, the newest first: what each found and how long it took",
        responses=DrillSerializer(many=True),
    )
    @action(detail=True, pagination_class=NewestFirst, filterset_class=None)
    def drills(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        rows: Any = self.get_object().drills.all()
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(DrillSerializer(page, many=True).data)

    @extend_schema(
        operation_id="backups_restore",
        summary="Restore it to its own agent, which does nothing else meanwhile: a run that does it",
        request=RestoreInputSerializer,
        responses={202: RequestedRunSerializer},
    )
    @action(methods=["post"], detail=True)
    def restore(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        backup = self.get_object()
        options = self._parsed(RestoreInputSerializer, request)
        return requested_response(restore_request(backup=backup, options=options, actor=self.caller.actor))

    def _parsed(self, serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
        parser = serializer(data=request.data, context=self.get_serializer_context())
        parser.is_valid(raise_exception=True)
        return dict(parser.validated_data)
