"""Nothing is longer than a reader can hold in mind, except with a reason that stands in the file's first lines.

A reason is a line that begins with `Long:`, in the docstring or a comment. It may name the function it is for.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
LINES_OF_FILE = 400
LINES_OF_FUNCTION = 60
LINES_OF_APP = 80
"""Statements of an `app.py` that construct its service, without imports, docstrings, comments and blank lines."""
FIRST_LINES = 12
NOT_OURS = {"node_modules", "dist", "flows", ".venv"}


def sources() -> Iterator[Path]:
    for folder in ("services", "libs", "deploy"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            if NOT_OURS.isdisjoint(path.parts):
                yield path


def long_parts(text: str) -> dict[str, int]:
    """The functions that are too long, and the file itself under an empty name."""
    lines = text.splitlines()
    found = {"": len(lines)} if len(lines) > LINES_OF_FILE else {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LINES_OF_FUNCTION:
                found[node.name] = length
    return found


def lines_of_code(text: str) -> int:
    """Lines with a statement, or a part of one, that is neither an import nor a docstring."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Module):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines.update(range(node.lineno, node.body[0].lineno))
        elif isinstance(node, ast.stmt):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def has_reason(text: str) -> bool:
    return any(line.lstrip("# ").startswith("Long:") for line in text.splitlines()[:FIRST_LINES])


def test_long_files_and_functions_say_why() -> None:
    too_long = {
        f"{path.relative_to(CHECKOUT)} {name}".strip(): length
        for path in sources()
        if not has_reason(path.read_text())
        for name, length in long_parts(path.read_text()).items()
    }

    assert too_long == {}, "take it apart, or say why in its first lines (`Long: ...`)"


def test_an_app_only_puts_its_service_together() -> None:
    apps = sorted((CHECKOUT / "services").glob("*/app.py"))

    lengths = {path.parent.name: lines_of_code(path.read_text()) for path in apps}

    assert len(lengths) >= 7
    too_long = {name: length for name, length in lengths.items() if length > LINES_OF_APP}
    assert too_long == {}, "take out the noun that it makes by many small steps"


def test_imports_and_prose_are_no_code() -> None:
    page = '"""A page."""\n\nimport a\n\n\n'
    text = (
        page + 'class B(\n    a.C\n):\n    """D."""\n\n    # Why.\n    e = [\n        1,\n    ]\n'
    )

    # Three lines of the class, three of the list.
    assert lines_of_code(text) == 6


def test_the_measure_finds_what_is_too_long() -> None:
    body = "    pass\n" * (LINES_OF_FUNCTION + 1)
    text = f"class A:\n    pass\n\n\nasync def long():\n{body}" + "x = 1\n" * LINES_OF_FILE

    assert long_parts(text) == {"": text.count("\n"), "long": LINES_OF_FUNCTION + 2}
    assert long_parts("x = 1\n") == {}
    assert has_reason('"""A page.\n\nLong: the command line.\n"""\n')
    assert not has_reason("x = 1\n" * FIRST_LINES + "# Long: too late\n")
