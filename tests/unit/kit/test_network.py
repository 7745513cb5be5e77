"""What counts as one visitor: an IPv4 address, and of IPv6 what one customer is given."""

import pytest

from kit.network import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("", ""),
        ("unknown", "unknown"),
        ("9" * 400, "9" * 400),
    ],
)
def test_one_visitor(address: str, network: str) -> None:
    assert network_of(address) == network
