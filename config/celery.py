"""The Celery app: Redis as broker, engine tasks by executor queue, housekeeping by django-celery-beat."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("watchbill")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
