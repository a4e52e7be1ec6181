"""A comment stands on the line before what it explains. Behind it, the formatter would spread a short statement over
several lines."""

import tokenize
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from tokenize import TokenInfo

CHECKOUT = Path(__file__).parents[2]
WIDTH = 100
"""Of code, as in pyproject.toml."""
FOLDERS = ("deploy", "libs", "services", "tests")
NOT_OURS = {"node_modules", "dist"}
FOR_TOOLS = ("noqa", "fmt:", "type:", "pragma:")
"""Comments that tools read must stay behind the code."""


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in (CHECKOUT / folder).rglob("*.py"):
            if NOT_OURS.isdisjoint(path.parts):
                yield path


def brackets(tokens: Sequence[TokenInfo]) -> Iterator[tuple[int, int]]:
    """First and last line of each pair of brackets, inner pairs first."""
    opened: list[int] = []
    for token in tokens:
        if token.type == tokenize.OP and token.string in "([{":
            opened.append(token.start[0])
        elif token.type == tokenize.OP and token.string in ")]}":
            yield opened.pop(), token.end[0]


def on_one_line(lines: Sequence[str]) -> str:
    text = lines[0].rstrip()
    for line in (line.strip() for line in lines[1:]):
        closes = line[:1] in {")", "]", "}"}
        glue = "" if closes or text[-1:] in {"(", "[", "{"} else " "
        text = (text.rstrip(",") if closes else text) + glue + line
    return text.rstrip()


def spread_out(text: str) -> list[int]:
    """Lines with the only comment inside brackets that would fit on one line without it."""
    tokens = list(tokenize.generate_tokens(StringIO(text).readline))
    code = text.splitlines()
    comments: dict[int, str] = {}
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            code[row - 1] = code[row - 1][:column]
            if code[row - 1].strip():
                comments[row] = token.string
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    in_long_strings = {
        row
        for token in tokens
        if token.type == tokenize.STRING
        for row in range(token.start[0], token.end[0])
    }
    found: set[int] = set()
    for first, last in brackets(tokens):
        rows = range(first, last + 1)
        inside = [row for row in rows if row in commented]
        if len(rows) == 1 or len(inside) != 1 or not in_long_strings.isdisjoint(rows):
            continue
        comment = comments.get(inside[0], "noqa")
        if any(word in comment for word in FOR_TOOLS):
            continue
        if len(on_one_line(code[first - 1 : last])) <= WIDTH:
            found.add(inside[0])
    return sorted(found)


def test_no_statement_is_spread_over_several_lines_by_a_comment_behind_it() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{row}"
        for path in sources()
        if "  # " in (text := path.read_text())
        for row in spread_out(text)
    ]

    assert found == [], "put the comment on the line before, and run `make fmt`"


def test_the_measure_finds_such_a_comment() -> None:
    wrapped = "LASTS = hours(\n    12\n)  # a working day\n"
    among_others = "CALL = ask(\n    first=1,  # why\n    second=[2, 3],\n)\n"
    before = "CALL = ask(\n    # why\n    first=1,\n    second=[2, 3],\n)\n"
    too_long = f"CALL = ask(\n    {'a' * WIDTH},  # why\n)\n"

    assert spread_out(wrapped) == [3]
    assert spread_out(among_others) == [2]
    assert spread_out(before) == []
    assert spread_out(too_long) == []
    assert spread_out("CALL = ask(\n    1,  # noqa: S105 - a name\n)\n") == []
