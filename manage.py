#!/usr/bin/env python3
"""``python manage.py …`` and ``watchbill …`` are the same program."""

import sys

from config.cli import main

if __name__ == "__main__":
    sys.exit(main())
