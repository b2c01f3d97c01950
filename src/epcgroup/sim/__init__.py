"""The machine in virtual time. (Holds nothing yet but its place: the simulator comes next.)"""
