"""The trace language: read a script, drive the engine, print the trace."""
