"""The engine as Python callers and machines meet it: ``epc.Epc``, writes to files, ways into compiled code.

Rules live in ``engine/``; here numbers are checked, outcomes get their names and mistakes become errors.
"""
