"""Samples of groups and programs, and what is shown of them: table, report, JSON."""
