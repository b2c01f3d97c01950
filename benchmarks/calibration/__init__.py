"""Is the simulator true? Measured, live against simulated, and against what others have published.

``python -m benchmarks.calibration`` measures the programs and the software EPC of this machine, runs the same
manifests live and in virtual time, repeats published experiments in virtual time, and writes
``docs/calibration.md`` with its plots and ``benchmarks/results/calibration.json``.
"""
