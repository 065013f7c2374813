"""fill.py APP COUNT QUEUE: publish so many no-ops onto a queue that nobody reads."""

import sys
from importlib import import_module

module = import_module(sys.argv[1])
module.app.loader.import_default_modules()  # sets Django up, where it is one of its projects
for _ in range(int(sys.argv[2])):
    module.noop.apply_async(queue=sys.argv[3])
