"""What two processes agree on: kernel interfaces (numbers, layouts) and our own wire formats.

Below pager, client and cgroupfs, which must not know each other. No behaviour, no state.
"""
