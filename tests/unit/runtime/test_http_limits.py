"""Which connections are let in, and which make room for others; no socket is opened."""

import time
from collections.abc import Callable, Hashable

from libs.runtime.http_limits import Connections, HttpLimits


class Client:
    """A connection whose protocol tells at once that it was dropped, as the real one does."""

    def __init__(self, among: Connections, address: str) -> None:
        self.address = address
        self.owner: Hashable = None
        self.has_request = False
        self.is_listed = False
        self.is_dropped = False
        self._among = among

    def drop(self) -> None:
        self.is_dropped = True
        self._among.remove(self)

    def check_time(self, now: float) -> None:
        """Times are the protocol's."""


class Time:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def connections(
    *, most: int = 60, of_address: int = 60, clock: Callable[[], float] = time.monotonic
) -> Connections:
    limits = HttpLimits(connections=most, connections_per_address=of_address)
    return Connections(limits, clock=clock)


def test_who_has_sent_no_head_for_longest_makes_room() -> None:
    among = connections(most=2)
    first, second, third = (Client(among, f"10.0.0.{n}") for n in range(3))

    assert all(among.admit(client) for client in (first, second, third))

    assert [c.is_dropped for c in (first, second, third)] == [True, False, False]
    assert set(among) == {second, third}


def known(among: Connections, address: str, owner: str) -> Client:
    """A client whose request is being answered."""
    client = Client(among, address)
    assert among.admit(client)
    client.has_request = True
    assert among.is_of(client, owner)
    return client


def test_known_clients_that_wait_for_an_answer_are_dropped_for_nobody() -> None:
    among = connections(most=2)
    served = [known(among, "10.0.0.1", "a"), known(among, "10.0.0.2", "b")]

    assert not among.admit(Client(among, "10.0.0.3"))

    assert not any(client.is_dropped for client in served)


def test_a_flood_of_strangers_cuts_off_no_known_client_of_the_same_address() -> None:
    among = connections(most=60, of_address=4)
    client = known(among, "10.0.0.1", "a")
    among.is_idle(client)
    strangers = [Client(among, "10.0.0.1") for _ in range(40)]
    for stranger in strangers:
        assert among.admit(stranger)
        stranger.has_request = True

    assert not client.is_dropped
    assert sum(stranger.is_dropped for stranger in strangers) == 36


def test_a_newcomer_takes_the_place_of_a_stranger_of_its_address_who_has_no_request() -> None:
    clock = Time()
    among = connections(most=60, of_address=3, clock=clock)
    asking, silent = Client(among, "10.0.0.1"), Client(among, "10.0.0.1")
    assert among.admit(asking)
    asking.has_request = True
    assert among.admit(silent)
    other = Client(among, "10.0.0.1")
    assert among.admit(other)
    other.has_request = True
    clock.now += 2

    assert among.admit(Client(among, "10.0.0.1"))
    assert (asking.is_dropped, silent.is_dropped) == (False, True)

    [newest] = set(among) - {asking, other}
    newest.has_request = True
    assert among.admit(Client(among, "10.0.0.1"))
    assert (asking.is_dropped, other.is_dropped) == (True, False)


def test_who_has_just_come_is_not_dropped_for_strangers_whose_requests_wait() -> None:
    clock = Time()
    among = connections(most=60, of_address=4, clock=clock)
    waiting = [Client(among, "10.0.0.1") for _ in range(3)]
    for stranger in waiting:
        assert among.admit(stranger)
        stranger.has_request = True
    newcomer = Client(among, "10.0.0.1")
    assert among.admit(newcomer)

    for _ in range(2):
        another = Client(among, "10.0.0.1")
        assert among.admit(another)
        another.has_request = True

    assert not newcomer.is_dropped
    assert [stranger.is_dropped for stranger in waiting] == [True, True, False]

    clock.now += 2
    assert among.admit(Client(among, "10.0.0.1"))
    assert newcomer.is_dropped


def test_one_owner_has_half_of_all_places_and_is_a_stranger_beyond() -> None:
    among = connections(most=8, of_address=0)
    clients = [Client(among, f"10.0.0.{n}") for n in range(8)]
    for client in clients:
        assert among.admit(client)
        client.has_request = True

    assert [among.is_of(client, "a") for client in clients] == [True] * 4 + [False] * 4

    for _ in range(4):
        newcomer = Client(among, "10.0.0.99")
        assert among.admit(newcomer)
        newcomer.has_request = True
    assert [client.is_dropped for client in clients] == [False] * 4 + [True] * 4


def test_idle_known_clients_make_room_when_there_is_nobody_else() -> None:
    among = connections(most=4)
    clients = [known(among, "10.0.0.1", "a"), known(among, "10.0.0.2", "b")]
    clients += [known(among, "10.0.0.3", "a"), known(among, "10.0.0.4", "b")]
    among.is_idle(clients[2])

    assert among.admit(Client(among, "10.0.0.5"))

    assert [client.is_dropped for client in clients] == [False, False, True, False]


def test_between_requests_a_client_makes_room_again() -> None:
    among = connections(most=1)
    idle = Client(among, "10.0.0.1")
    assert among.admit(idle)
    idle.has_request = True
    among.is_idle(idle)

    assert among.admit(Client(among, "10.0.0.2"))

    assert idle.is_dropped


def test_an_address_that_has_its_share_takes_no_place_of_another() -> None:
    among = connections(most=4, of_address=2)
    other = Client(among, "10.0.0.9")
    assert among.admit(other)
    greedy = [Client(among, "10.0.0.1") for _ in range(3)]

    assert all(among.admit(client) for client in greedy)

    assert not other.is_dropped
    assert [client.is_dropped for client in greedy] == [True, False, False]


def test_behind_a_proxy_one_address_may_have_all_places() -> None:
    among = connections(most=4, of_address=0)
    clients = [Client(among, "10.0.0.1") for _ in range(4)]

    assert all(among.admit(client) for client in clients)

    assert len(among) == 4


def test_a_closed_connection_is_forgotten_once() -> None:
    among = connections()
    client = Client(among, "10.0.0.1")
    among.remove(client)
    assert among.admit(client)

    among.remove(client)
    among.remove(client)
    client.has_request = True

    assert len(among) == 0
    assert among._groups == {}
