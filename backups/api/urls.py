"""The addresses of backups and restores, below ``/api/v1/``."""

from rest_framework.routers import SimpleRouter

from backups.api.backups import BackupViewSet
from backups.api.restores import RestoreViewSet

router = SimpleRouter(trailing_slash=False)
router.register("backups", BackupViewSet, basename="backup")
router.register("restores", RestoreViewSet, basename="restore")

urlpatterns = router.urls
