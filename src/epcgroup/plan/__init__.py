"""Capacity planning: the place of the planner, which comes later."""
