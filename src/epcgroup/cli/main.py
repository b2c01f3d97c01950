"""Entry point of ``epcg``: from the first import on, Ctrl-C is one line and an exit code.

Half of the start is imports; they stand inside the guard, hence in the function.
"""

import sys


def main() -> None:
    """Run ``epcg`` with the arguments of the process and end it."""
    try:
        from epcgroup.cli.root import run_command

        code = run_command()
    except KeyboardInterrupt:
        print("epcg: interrupted", file=sys.stderr)
        code = 130  # Exit.INTERRUPTED, which may not be there yet
    sys.exit(code)


if __name__ == "__main__":
    main()
