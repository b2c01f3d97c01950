"""Capacity planning: many simulations at once. Sweeps over scenarios, fleets of nodes."""
