"""The stages: functions whose annotations declare their inputs and their output.

They import heavy libraries inside, because a cached stage is planned but not called.
"""
