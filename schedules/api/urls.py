"""The addresses of schedules and runs, below ``/api/v1/``."""

from rest_framework.routers import SimpleRouter

from schedules.api.runs import RunViewSet
from schedules.api.schedules import ScheduleViewSet

router = SimpleRouter(trailing_slash=False)
router.register("schedules", ScheduleViewSet, basename="schedule")
router.register("schedule-runs", RunViewSet, basename="schedule-run")

urlpatterns = router.urls
