"""Whose request it is: the address that rate limits, lock-outs and the audit trail go by.

A proxy in front of us is the peer of every connection; who asked stands in `X-Forwarded-For`, where each proxy appends
the peer it saw. What stands there is worth as much as who wrote it: the list is read from its right end, and only as
far as each writer is one of the proxies we were told to trust. Anything left of that may be an invention.
"""

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# The word for "nobody in front of us".
NOBODY = "none"


@dataclass(frozen=True, slots=True)
class Proxies:
    """The addresses whose word about others counts."""

    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str) -> "Proxies":
        """Read addresses and networks (CIDR) between commas, or the word `none`. Raises ValueError naming neither."""
        if text.strip() == NOBODY:
            return cls(())
        try:
            return cls(tuple(ipaddress.ip_network(one.strip(), strict=False) for one in text.split(",")))
        except ValueError:
            raise ValueError("must be addresses or networks such as 10.0.0.0/8 between commas, or none") from None

    def __contains__(self, address: Address) -> bool:
        """Whether this is one of them; an address and a network of different versions never match."""
        return any(address in network for network in self.networks)

    @property
    def believes_everybody(self) -> bool:
        """Whether a network is the whole internet: then anybody may say to be anybody."""
        return any(network.prefixlen == 0 for network in self.networks)

    def __str__(self) -> str:
        """As it is set."""
        return ", ".join(str(one) for one in self.networks) or NOBODY


LOOPBACK = Proxies.parse("127.0.0.0/8, ::1")
# On the application, or one it is mounted in; absent: LOOPBACK.
PROXIES = web.AppKey("proxies", Proxies)


def address_of(request: web.Request) -> str:
    """Return the address that asks, in its shortest spelling: "" where the connection has none.

    The peer itself, unless it is a trusted proxy; then what that proxy appended, and so on to the left while the
    address read is a trusted proxy too. An entry that is no address ends the walk at the proxy that wrote it.
    """
    return _asking(
        request.remote or "",
        ",".join(request.headers.getall("X-Forwarded-For", ())),
        request.config_dict.get(PROXIES, LOOPBACK),
    )


def _asking(remote: str, forwarded: str, trusted: Proxies) -> str:
    asking = _read(remote)
    if asking is None:
        return remote
    said = forwarded.split(",")
    while said and asking in trusted and (named := _read(said.pop())) is not None:
        asking = named
    return str(asking)


def _read(text: str) -> Address | None:
    """Return an address, also one with a port or in brackets as some proxies write it; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket for both versions calls an IPv4 peer ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
