"""Read the JSON document that ``epcg compare --json`` has written among other lines, and judge it.

The last line printed is the verdict; the exit code is 0 only if the pods were isolated and every check held.
"""

import json
import sys
from pathlib import Path
from typing import Any


def find_document(text: str) -> dict[str, Any] | None:
    """Return the last JSON object of ``text`` that begins a line and holds a verdict."""
    decoder = json.JSONDecoder()
    found = None
    start = 0
    while (start := text.find("{", start)) >= 0:
        try:
            document, end = decoder.raw_decode(text, start)
        except ValueError:
            start += 1
            continue
        if isinstance(document, dict) and "verdict" in document:
            found = document
        start = end
    return found


def main(path: str) -> int:
    """Print checks and verdict of the document in ``path``; returns the exit code."""
    document = find_document(Path(path).read_text())
    if document is None:
        print("verdict: FAILED, the demo printed no JSON document with a verdict")
        return 1
    checks = document.get("checks", [])
    for check in checks:
        mark = "ok  " if check["ok"] else "FAIL"
        print(f"{mark} {check['name']}: {check['value']} (bound {check['bound']})")
    good = document["verdict"] == "isolated" and bool(checks) and all(check["ok"] for check in checks)
    print(f"verdict: {document['verdict']}{'' if good else ' - FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
