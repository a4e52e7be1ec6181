"""The ear takes pings out of the socket's bytes, however they are cut, and nothing else."""

import pytest

from libs.contracts.heartbeat import REARMED_HEADER, beat_message, disarm_message
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.heartbeat.ear import Ear

TENANT = new_id()


def on_the_wire(
    subject: str, headers: dict[str, str], body: bytes, *, reply: str | None = None
) -> bytes:
    head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head += "\r\n"
    address = f"{subject} 1 {reply}" if reply else f"{subject} 1"
    line = f"HMSG {address} {len(head)} {len(head) + len(body)}\r\n{head}"
    return line.encode() + body + b"\r\n"


def a_ping(run: object, *, reply: str | None = None, **headers: str) -> bytes:
    subject, switch, body = beat_message(TENANT, new_id(), utc_now())
    subject = subject.rsplit(".", 1)[0] + f".{run}"
    return on_the_wire(subject, switch | headers, body, reply=reply)


async def heard(ear: Ear, *chunks: bytes) -> set[str]:
    for chunk in chunks:
        await ear._ps.parse(chunk)
    return {run.decode() for run in ear.take()}


@pytest.mark.parametrize("size", [1, 7, 100, 397, 1000, 100_000])
async def test_pings_are_heard_however_the_socket_cuts_them(size: int) -> None:
    runs = [new_id() for _ in range(20)]
    stream = b"+OK\r\n" + b"".join(a_ping(run) for run in runs)

    found = await heard(Ear(), *(stream[at : at + size] for at in range(0, len(stream), size)))

    assert found == {str(run) for run in runs}


async def test_a_ping_that_asks_for_an_acknowledgement_is_heard_too() -> None:
    run = new_id()

    assert await heard(Ear(), a_ping(run, reply="_INBOX.abc.1")) == {str(run)}


async def test_a_switch_taken_away_or_armed_by_the_service_is_no_sign_of_life() -> None:
    last = new_id()
    stream = (
        on_the_wire(*disarm_message(TENANT, new_id()))
        + a_ping(new_id(), **{REARMED_HEADER: "1"})
        + a_ping(last)
    )

    assert await heard(Ear(), stream) == {str(last)}


async def test_what_is_no_ping_is_skipped_whole() -> None:
    run = new_id()
    stream = (
        f"MSG hw.beat.a.b 1 {len(a_ping(run))}\r\n".encode() + a_ping(new_id()) + b"\r\n"
        b"MSG hw.beat.a.b 1 _INBOX.x 2\r\nhi\r\n" + a_ping("not-an-id") + a_ping(run)
    )

    assert await heard(Ear(), stream) == {str(run)}


async def test_half_a_ping_of_a_lost_connection_is_forgotten() -> None:
    ear, run = Ear(), new_id()
    await ear._ps.parse(a_ping(new_id())[:200])

    ear._ps.reset()

    assert await heard(ear, a_ping(run)) == {str(run)}


async def test_what_was_taken_is_not_taken_again() -> None:
    ear = Ear()
    await heard(ear, a_ping(new_id()))

    assert ear.take() == {}


async def test_what_was_heard_of_the_tenants_run_and_not_taken_yet_was_just_heard() -> None:
    ear, taken, waiting = Ear(), new_id(), new_id()
    await heard(ear, a_ping(taken))
    await ear._ps.parse(a_ping(waiting))

    assert ear.has_just_heard(waiting, TENANT)
    assert not ear.has_just_heard(waiting, new_id())
    assert not ear.has_just_heard(taken, TENANT)


@pytest.mark.parametrize("odd", ["a\x0bb", "a\x0cb", "a\x1cb", "\u00ff"])
async def test_a_strangers_subject_hides_no_ping_behind_it(odd: str) -> None:
    run = new_id()

    assert await heard(Ear(), a_ping(odd) + a_ping(run)) == {str(run)}
