"""The machine in virtual time: the place of the simulator, which comes next."""
