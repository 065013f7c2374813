"""The Celery app: Redis as broker, engine tasks by executor queue, housekeeping by django-celery-beat."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Every form of a Redis address gets the mended transport; see there.
TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "schedules.engine.transport:Transport"

app = Celery("watchbill")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
