"""An app for tests: executors that leave a trace in a file, so that effects are counted from outside."""
