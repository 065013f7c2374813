"""The engine: planning, admission, publishing, execution, rescue. ``docs/architecture.md`` walks one run through."""
