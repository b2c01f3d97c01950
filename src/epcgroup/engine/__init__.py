"""The EPC memory manager and the misc controller as a pure state machine on flat arrays.

Decides, never acts: no I/O, no clock, no threads. A machine (simulator, pager, trace player) carries the
decisions out. Rules live in the file of their name; Python callers go through ``epcgroup.face``.
"""
