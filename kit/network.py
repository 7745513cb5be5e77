"""Whose network an address is of: what is counted by address is counted by this."""

import ipaddress

# What a provider gives to one customer at least; a limit for each of its 2^64 addresses would be none.
OF_ONE = 64


def network_of(address: str) -> str:
    """Return what counts as one visitor: of an IPv6 address its /64, else the text as it is."""
    try:
        return str(ipaddress.IPv6Network(f"{address}/{OF_ONE}", strict=False))
    except ValueError:
        return address
