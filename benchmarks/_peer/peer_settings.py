"""The Django project of the peers: what django-celery-results and django-celery-beat need, and no more."""

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["PEER_DATABASE"])

SECRET_KEY = "only for a benchmark"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_results", "django_celery_beat"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database.hostname,
        "PORT": _database.port,
        "USER": _database.username,
        "NAME": _database.path.lstrip("/"),
        "CONN_MAX_AGE": 600,
    }
}
