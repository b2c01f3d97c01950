"""Every case from 1 to 78 of the description has a test that carries its number."""

import ast
import re
from pathlib import Path

NR_CASES = 78


def test_all_cases_have_a_named_test_that_asserts_something() -> None:
    found: set[int] = set()
    for path in Path(__file__).parent.glob("test_spec_cases_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            case = re.fullmatch(r"test_case_(\d\d)_\w+", node.name)
            if case:
                found.add(int(case.group(1)))
                assert _asserts(node), f"{node.name} asserts nothing"
    assert found == set(range(1, NR_CASES + 1))


def _asserts(node: ast.FunctionDef) -> bool:
    """Whether a test asserts itself or hands over to a function that does."""
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    helpers = {each.func.id for each in calls if isinstance(each.func, ast.Name)}
    return any(isinstance(each, ast.Assert) for each in ast.walk(node)) or "_refused_then_served" in helpers
