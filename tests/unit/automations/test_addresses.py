"""Which addresses may be called."""

from ipaddress import IPv4Address, ip_address

import pytest

from services.automations.domain.addresses import (
    UrlError,
    checked_url,
    is_public,
    networks_of,
    refused,
)

PRIVATE = [
    "127.0.0.1", "127.8.8.8", str(IPv4Address(0)), "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1:0:fbfe:80ff:fffe",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_only_we_can_reach_is_refused(text: str) -> None:
    address = ip_address(text)

    assert not is_public(address)
    assert refused([address], allowed=()) == [address]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_called(text: str) -> None:
    assert refused([ip_address(text)], allowed=()) == []


def test_one_private_address_among_public_ones_is_found() -> None:
    both = [ip_address("1.1.1.1"), ip_address("10.0.0.1")]

    assert refused(both, allowed=()) == [ip_address("10.0.0.1")]


def test_an_allowed_network_may_be_called_also_through_an_address_that_carries_it() -> None:
    allowed = networks_of(" 10.1.0.0/16, fd00::/8 ,127.0.0.1")
    inside = ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7", "127.0.0.1"]
    outside = ["10.2.0.1", "fc00::1", "127.0.0.2", "169.254.169.254"]

    assert refused(map(ip_address, inside), allowed=allowed) == []
    assert refused(map(ip_address, outside), allowed=allowed) == list(map(ip_address, outside))


def test_our_own_public_address_is_refused_unless_it_is_allowed() -> None:
    own = [ip_address("93.184.216.34")]

    assert refused(own, allowed=(), own=own) == own
    assert refused([ip_address("::ffff:93.184.216.34")], allowed=(), own=own) != []
    assert refused(own, allowed=networks_of("93.184.216.34"), own=own) == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com", "file:///etc/passwd", "gopher://x", "example.com", "//example.com", "https://",
        "http://user:pw@example.com", "http://user@example.com", "http://example.com:99999", "http://example.com:0",
        "http://exa mple.com", "http://example.com/\r\nX: 1", "http://[::1", "https://example.com/" + "x" * 5000,
        "http://" + "a" * 300 + ".com",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_receiver_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(UrlError, match=r"the (address|port)"):
        checked_url(url)


def test_an_ordinary_address_is_taken_apart() -> None:
    parts = checked_url("https://hooks.example.com:8443/a/b?c=d")

    assert (parts.hostname, parts.port, parts.path) == ("hooks.example.com", 8443, "/a/b")


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        networks_of("10.0.0.1/8")
