"""The answer to "run this": accepted, where to watch it, and why it waits when it does."""

from __future__ import annotations

from django.urls import reverse
from rest_framework import status
from rest_framework.response import Response

from schedules.api.run_serializers import RequestedRunSerializer
from schedules.services.runs import Requested


def requested_response(requested: Requested) -> Response:
    body = RequestedRunSerializer(requested.run, context={"note": requested.note}).data
    location = reverse("schedule-run-detail", args=[requested.run.job_run_id])
    return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": location})
