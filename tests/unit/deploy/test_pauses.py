"""How long whoever keeps a program running waits before it starts the program again."""

from deploy.engines.pauses import Pauses


def test_the_pauses_of_a_program_that_keeps_ending_grow_to_five_seconds() -> None:
    pauses = Pauses()

    assert [pauses.after(1.0) for _ in range(8)] == [0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_program_that_had_stayed_up_is_started_again_at_once() -> None:
    pauses = Pauses()
    for _ in range(8):
        pauses.after(1.0)

    assert [pauses.after(30.0), pauses.after(1.0)] == [0.0, 0.2]


def test_a_start_that_fails_prolongs_the_pauses() -> None:
    pauses = Pauses()
    pauses.after(3600.0)

    assert [pauses.after(0.0) for _ in range(3)] == [0.2, 0.4, 0.8]
