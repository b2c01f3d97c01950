"""What an enclave always holds, as arithmetic: for the engine, and for those who ask before anything runs."""

from typing import Final

#: Pages that one VA page has slots for.
VA_SLOTS: Final = 512


def floor_pages(size: int) -> int:
    """Return the EPC pages an enclave of ``size`` pages needs at least: SECS, VA pages, one page more."""
    return 1 + (1 + size + VA_SLOTS - 1) // VA_SLOTS + 1
