"""Which connections are let in, and which make room for others; no socket is opened."""

from libs.runtime.http_limits import Connections, HttpLimits


class Client:
    """A connection whose protocol tells at once that it was dropped, as the real one does."""

    def __init__(self, among: Connections, address: str) -> None:
        self.address = address
        self.is_dropped = False
        self._among = among

    def drop(self) -> None:
        self.is_dropped = True
        self._among.remove(self)

    def check_time(self, now: float) -> None:
        """Times are the protocol's."""


def connections(*, most: int = 60, of_address: int = 60) -> Connections:
    return Connections(HttpLimits(connections=most, connections_of_address=of_address))


def test_who_has_sent_no_head_for_longest_makes_room() -> None:
    among = connections(most=2)
    first, second, third = (Client(among, f"10.0.0.{n}") for n in range(3))

    assert all(among.admit(client) for client in (first, second, third))

    assert [c.is_dropped for c in (first, second, third)] == [True, False, False]
    assert set(among) == {second, third}


def test_who_has_sent_a_head_is_not_dropped_for_others() -> None:
    among = connections(most=2)
    served = [Client(among, "10.0.0.1"), Client(among, "10.0.0.2")]
    for client in served:
        assert among.admit(client)
        among.has_head(client)

    assert not among.admit(Client(among, "10.0.0.3"))

    assert not any(client.is_dropped for client in served)


def test_between_requests_a_client_makes_room_again() -> None:
    among = connections(most=1)
    idle = Client(among, "10.0.0.1")
    assert among.admit(idle)
    among.has_head(idle)
    among.awaits_head(idle)

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
    among.has_head(client)

    assert len(among) == 0
