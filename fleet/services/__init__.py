"""What may be done to the fleet. Each function is one durable transaction with its audit row."""
