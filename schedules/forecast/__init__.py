"""A simulation of what schedules will do: who queues, who meets whom, what is skipped. It knows no Django."""
