"""Django settings. Every value from outside comes through :mod:`config.env`."""

from datetime import timedelta
from typing import Any

from config import env as environment
from config.env import env

BASE_DIR = environment.BASE_DIR
WATCHBILL = environment.watchbill()
SECRET_KEY = environment.secret_key()
SECRET_KEY_IS_RANDOM = not env.str("SECRET_KEY", default="")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    # Without its own discovery: commands, beat and workers need no admin; config.urls loads it for the web.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_celery_results",
    "fleet",
    "schedules",
    "monitoring",
    "backups",
    "sessions",
    "leadscan",
    "config",
    # Executors from another installed package: WATCHBILL_APPS=our_company.executors
    *env.list("WATCHBILL_APPS", default=[]),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.security.ContentSecurityPolicyMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
# Served straight from the packages: no collectstatic step between `git clone` and a page.
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("HTTPS", default=False)

# Celery. Engine tasks ignore results: runs are our own rows; housekeeping keeps its results in the database.
CELERY_BROKER_URL = environment.broker_url(WATCHBILL.redis_url)
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
# Ours removes them in small batches; Celery's own would remove them at once.
CELERY_RESULT_EXPIRES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SEND_SENT_EVENT = False
# Flower switches them on while it watches; each costs the worker's parent a message to the broker.
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONSUMER = "schedules.engine.consumer:Consumer"
# The engine notices lost work itself; Celery's own time limits can kill a child's next task.
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_DEFAULT_PRIORITY = 0
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 0.9,
    "socket_connect_timeout": 0.5,
    "retry_on_timeout": False,
    "health_check_interval": 10,
    "max_retries": 0,
}
# Publishing fails fast: the database keeps what a dead broker lost, and the sweep publishes it again.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "schedules.beat:WatchbillScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = WATCHBILL.tick_seconds
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Housekeeping: installed once into django-celery-beat's tables, then edited in the admin.
CELERY_BEAT_SCHEDULE = {
    "Forget workers that are gone": {"task": "housekeeping.prune_workers", "schedule": timedelta(hours=1)},
    "Remove old runs": {
        "task": "housekeeping.prune_runs",
        "schedule": timedelta(hours=1),
        "kwargs": {"days": 90, "keep": 10, "most": 10_000, "minutes": 10},
    },
    "Remove old logs": {
        "task": "housekeeping.prune_logs",
        "schedule": timedelta(hours=1),
        "kwargs": {"days": 30, "minutes": 10},
    },
    "Remove old results of tasks": {
        "task": "housekeeping.prune_results",
        "schedule": timedelta(days=1),
        "kwargs": {"days": 30, "minutes": 10},
    },
    "Remove old engine events": {
        "task": "housekeeping.prune_engine_events",
        "schedule": timedelta(days=1),
        "kwargs": {"days": 90, "most": 10_000, "minutes": 10},
    },
    "Read old archives again": {
        "task": "housekeeping.recheck_backups",
        "schedule": timedelta(days=1),
        "kwargs": {"days": 7, "megabytes": 4096, "minutes": 30},
    },
    "Record archives that others made": {
        "task": "housekeeping.adopt_archives",
        "schedule": timedelta(hours=1),
        "kwargs": {},
    },
    "Move archives between the tiers": {
        "task": "housekeeping.tidy_tiers",
        "schedule": timedelta(hours=1),
        "kwargs": {"minutes": 30},
    },
    "Remove archives that no rule keeps": {
        "task": "housekeeping.expire_backups",
        "schedule": timedelta(days=1),
        "kwargs": {"minutes": 10},
    },
    "Abort uploads that nobody works on": {
        "task": "housekeeping.sweep_uploads",
        "schedule": timedelta(days=1),
        "kwargs": {"hours": 24},
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "fleet.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["fleet.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "fleet.pagination.NewestFirst",
    "EXCEPTION_HANDLER": "fleet.problems.problem_response",
    "PAGE_SIZE": 50,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Watchbill API",
    "DESCRIPTION": "The night watch of a fleet of AI agents: schedules and runs.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

UNFOLD = {
    "SITE_TITLE": "Watchbill",
    "SITE_HEADER": "Watchbill",
    "SITE_SUBHEADER": "The night watch of a fleet of AI agents",
    "SITE_SYMBOL": "nightlight",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    # One accent, blue: what can be pressed and what runs.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        },
    },
    "STYLES": ["config.navigation.style_sheet"],
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "config.navigation.sidebar"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        name: {"level": env.str("LOG_LEVEL", default="INFO")}
        for name in ("fleet", "schedules", "monitoring", "backups", "sessions", "leadscan", "config")
    },
}
