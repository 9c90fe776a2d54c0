"""The listening sockets: one per face, bound before anything else starts, so that a taken port is told at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from rebridge.errors import ConfigError
from rebridge.server.settings import address

#: Connections that wait while a worker starts or is replaced.
_BACKLOG = 2048

_CURES = {
    errno.EADDRINUSE: "another program listens there. Stop it, or choose another port.",
    errno.EACCES: "ports below 1024 need more rights than this user has. Choose a port above.",
    errno.EADDRNOTAVAIL: "no network of this machine has this address. Use 127.0.0.1 for this machine alone, or "
    "0.0.0.0 for all its networks.",
}


def bind(listens: Iterable[str]) -> list[socket.socket]:
    """A listening socket for each ``HOST:PORT``, in order; port 0 takes any free one.

    Raises:
        ConfigError: if one cannot be had; the message names it and the cure, and no socket stays open.
    """
    bound: list[socket.socket] = []
    try:
        for listen in listens:
            bound.append(_bound(listen))  # noqa: PERF401 - what is bound so far must be closed after a failure
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def port(bound: socket.socket) -> int:
    """The port of a socket."""
    number: int = bound.getsockname()[1]
    return number


def _bound(listen: str) -> socket.socket:
    host, number = address(listen)
    try:
        # IPv4 first: "localhost" is both, and most clients mean that.
        family = min(found[0] for found in socket.getaddrinfo(host, number, type=socket.SOCK_STREAM))
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((host, number), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except socket.gaierror as error:
        raise ConfigError(f"cannot listen on {listen}: there is no host {host!r}") from error
    except (OSError, OverflowError) as error:
        cure = _CURES.get(getattr(error, "errno", None) or 0, f"{error}.")
        raise ConfigError(f"cannot listen on {listen}: {cure}") from error
