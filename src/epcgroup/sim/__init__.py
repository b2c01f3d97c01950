"""The machine in virtual time: one engine; programs as models or traces; costs as data: ``machine.py``."""
