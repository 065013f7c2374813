"""The launcher of ``make run``: one supervisor for every process of a watch on this machine.

It is plain standard library and must stay so: the supervisor lives as long as the watch does, and importing
Django here would cost its memory a second time.
"""
