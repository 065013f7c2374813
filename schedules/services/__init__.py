"""What may be done to schedules and runs. Each function is one durable transaction with its audit row.

Commands, admin and API call these; publishing comes after the commit.
"""
