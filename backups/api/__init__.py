"""The archives over HTTP."""
