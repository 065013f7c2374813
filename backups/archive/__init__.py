"""Archives of folders: making, storing, listing, pruning and restoring them.

One code for the ``s3`` command inside an agent's container and for the ``workspace.backup`` executor. An
agent's container should carry neither Django nor Celery, so this package imports only the standard library,
and boto3 when S3 is used.
"""
