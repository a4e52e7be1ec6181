"""Which lines of a process's output are forwarded."""

from libs.agent.output import CHUNK, LINE, Sieve, whole_lines

RECORD = "[2026-11-22 10:00:00+0000] INFO - prefect.TaskRunner | "


def test_what_tasks_print_is_kept() -> None:
    assert Sieve().keep("one\n  two\n") == ["one", "  two"]


def test_empty_lines_are_not() -> None:
    assert Sieve().keep("one\n\n \ntwo\n") == ["one", "two"]


def test_a_record_of_prefect_is_left_out_with_all_its_lines() -> None:
    text = f"before\n{RECORD}Task failed\nTraceback:\n  ValueError\x1f\nafter\n"

    assert Sieve().keep(text) == ["before", "after"]


def test_a_record_may_end_in_a_later_piece() -> None:
    sieve = Sieve()

    assert sieve.keep(f"{RECORD}Task failed\n") == []
    assert sieve.keep("Traceback:\n") == []
    assert sieve.keep("  ValueError\x1f\nafter\n") == ["after"]


def test_what_only_looks_like_a_record_is_kept() -> None:
    line = "[2026-11-22 10:00:00] a line of mine"

    assert Sieve().keep(line + "\n") == [line]


def test_a_long_line_is_cut() -> None:
    assert Sieve().keep("x" * (LINE + 5) + "\n") == ["x" * LINE]


def test_separators_within_a_line_do_not_end_it() -> None:
    assert Sieve().keep("a\x1cb\u2028c\r\n") == ["a\x1cb\u2028c"]


def test_a_line_is_forwarded_once_it_is_whole() -> None:
    assert whole_lines(b"one\ntw", is_last=False) == b"one\n"
    assert whole_lines(b"tw", is_last=False) == b""
    assert whole_lines(b"tw", is_last=True) == b"tw"


def test_a_line_without_an_end_is_forwarded_in_pieces() -> None:
    assert whole_lines(b"x" * CHUNK, is_last=False) == b"x" * CHUNK
