"""The stages: functions whose annotations say what they take and give.

Heavy libraries are imported inside them, since a stage that is cached is planned and never called.
"""
