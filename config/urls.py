"""Where everything is."""

import time

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny

from fleet.problems import CONTENT_TYPE, problem_body


def health(_: HttpRequest) -> HttpResponse:
    """``{"status":"ok","timestamp":<ms>}`` without a space: outside monitors look for ``"status":"ok"``."""
    return HttpResponse(f'{{"status":"ok","timestamp":{time.time_ns() // 1_000_000}}}', content_type="application/json")


@csrf_exempt
def no_such_address(_: HttpRequest) -> HttpResponse:
    """A program that mistyped an address of the API reads JSON, not a page."""
    body = problem_body(404, detail="There is no such address. /api/docs lists them.", code="not_found")
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE)


# Readable without a login: the document says what could be asked, nothing of what is there.
OPEN = {"authentication_classes": [], "permission_classes": [AllowAny]}

admin.autodiscover()

urlpatterns = [
    path("health", health),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(**OPEN), name="api-schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="api-schema", **OPEN), name="api-docs"),
    path("api/v1/", include("schedules.api.urls")),
    path("api/v1/", include("backups.api.urls")),
    re_path(r"^api/", no_such_address),
]
