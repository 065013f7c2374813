"""Fixtures for all floors: real servers, started on free ports and stopped again."""

pytest_plugins = ["s3_servers", "docker_engine"]
