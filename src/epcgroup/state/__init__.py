"""The state of a machine as arrays, and what a reader of it needs: names, series, texts of files.

Start with ``layout.py``. Light: no Numba here, so that a reader in another process stays small. No rule lives
here: those are in ``engine/``.
"""
