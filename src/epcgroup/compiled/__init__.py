"""How Python becomes machine code: decorators, the compiler's passes, the state as typed pointers.

Start with ``jit.py``. No rule of the EPC lives here; this is the only room that reaches into Numba.
"""
