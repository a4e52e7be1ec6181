"""Which lines of a process's output are forwarded."""

from libs.agent.output import (
    CHUNK,
    LINE,
    LINES_PER_MINUTE,
    MINUTE,
    REPEATS_PER_MINUTE,
    Flood,
    Sieve,
    whole_lines,
)

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


def test_a_line_that_comes_again_and_again_is_folded_and_counted() -> None:
    flood = Flood()

    passed = flood.pass_on(["same"] * 5_000 + ["other"], now=0)
    later = flood.pass_on(["next"], now=MINUTE)

    assert passed == ["same"] * REPEATS_PER_MINUTE + ["other"]
    assert later == ["This line came 4,900 more times within a minute: same", "next"]


def test_a_traceback_that_comes_again_and_again_is_folded_too() -> None:
    flood = Flood()
    traceback = ["Traceback (most recent call last):", "  File x", "UnauthorizedError"]

    passed = flood.pass_on(traceback * 200_000, now=0)

    assert passed == traceback * REPEATS_PER_MINUTE
    assert len(flood.end()) == 3


def test_one_that_prints_without_end_is_bounded_and_told_what_was_left_out() -> None:
    flood = Flood()

    passed = flood.pass_on([str(n) for n in range(LINES_PER_MINUTE + 7)], now=0)

    assert len(passed) == LINES_PER_MINUTE
    assert flood.end() == ["7 lines were left out: a run may print 6,000 lines in a minute."]
    assert flood.pass_on(["next"], now=1) == ["next"]


def test_a_minute_begins_with_its_first_line() -> None:
    flood = Flood()
    flood.pass_on(["same"] * REPEATS_PER_MINUTE, now=10)

    assert flood.pass_on(["same"], now=10 + MINUTE - 1) == []
    assert flood.pass_on(["same"], now=10 + MINUTE) == [
        "This line came 1 more times within a minute: same",
        "same",
    ]


def test_what_was_not_sent_is_counted_once() -> None:
    flood = Flood()
    flood.copy().pass_on(["same"] * 1_000, now=0)

    assert flood.pass_on(["same"], now=0) == ["same"]
    assert flood.end() == []
