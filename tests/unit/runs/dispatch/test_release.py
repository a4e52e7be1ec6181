"""What waited during a pause goes out so many a second."""

from services.runs.dispatch.release import Release


def test_a_second_has_room_for_as_many_runs_as_the_rate_says() -> None:
    release = Release()
    given = 0

    for tenth in range(10):
        while room := release.room(50, now=tenth / 10 + 0.001 * tenth):
            release.take(min(room, 2))
            given += min(room, 2)

    assert given == 50


def test_a_window_that_is_used_up_says_when_the_next_one_begins() -> None:
    release = Release()
    release.take(release.room(100, now=7.0))

    assert release.room(100, now=7.05) == 0
    assert release.reopens == 7.1
    assert release.room(100, now=7.1) == 10


def test_the_slowest_rate_still_gives_out_something() -> None:
    assert Release().room(1, now=0.0) == 1
