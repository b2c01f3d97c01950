"""Experiments others have published, in virtual time: one module each, with a function ``case()``."""
