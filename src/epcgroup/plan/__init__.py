"""Capacity planning. (Holds nothing yet but its place.)"""
