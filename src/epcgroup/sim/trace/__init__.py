"""Traces: streams of page references as files; read, write, import, cut, mix, generate."""
