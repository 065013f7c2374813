"""The addresses of schedules, runs and blackouts, below ``/api/v1/``."""

from rest_framework.routers import SimpleRouter

from schedules.api.blackouts import BlackoutViewSet
from schedules.api.runs import RunViewSet
from schedules.api.schedules import ScheduleViewSet

router = SimpleRouter(trailing_slash=False)
router.register("schedules", ScheduleViewSet, basename="schedule")
router.register("schedule-runs", RunViewSet, basename="schedule-run")
router.register("blackouts", BlackoutViewSet, basename="blackout")

urlpatterns = router.urls
