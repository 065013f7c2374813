"""The console script ``watchbill``: the same program as ``manage.py``."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError


def main() -> int:
    """Run the command. A setting or a database that can't be used is one clear line and exit code 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        import config.settings  # noqa: F401, PLC0415 - its refusals come before Django wraps them

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        return _refuse(str(error))
    except OperationalError as error:
        return _refuse(f"The database can't be used: {str(error).strip().partition(chr(10))[0]}. Check DATABASE_URL.")
    return 0


def _refuse(text: str) -> int:
    sys.stderr.write(f"Error: {text}\n")
    return 1
