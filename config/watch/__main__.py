"""`python -m config.watch`: what `make run` runs."""

from __future__ import annotations

import sys

from config.watch.launch import main

if __name__ == "__main__":
    sys.exit(main())
