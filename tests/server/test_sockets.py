"""Binding: what is taken, and what is said when it cannot be."""

from __future__ import annotations

import socket

import pytest

from rebridge.errors import ConfigError
from rebridge.server.sockets import bind, port


def test_a_socket_for_each_address() -> None:
    """Clients can connect to each address at once, before anybody accepts."""
    sockets = bind(["127.0.0.1:0", "localhost:0"])
    try:
        for one in sockets:
            socket.create_connection(("127.0.0.1", port(one)), timeout=5).close()
    finally:
        for one in sockets:
            one.close()


def test_a_taken_port() -> None:
    """A port that is taken is named with the cure, and what was bound before is free again."""
    (other, free) = bind(["127.0.0.1:0", "127.0.0.1:0"])
    free_at = f"127.0.0.1:{port(free)}"
    free.close()
    with other, pytest.raises(ConfigError, match=rf"127.0.0.1:{port(other)}: another program.*choose another port"):
        bind([free_at, f"127.0.0.1:{port(other)}"])
    bind([free_at])[0].close()


@pytest.mark.parametrize(
    ("listen", "message"),
    [("192.0.2.1:8080", "no network of this machine"), ("nowhere.invalid:8080", "there is no host 'nowhere.invalid'")],
)
def test_an_impossible_address(listen: str, message: str) -> None:
    """An address that is not this machine's is told as that."""
    with pytest.raises(ConfigError, match=message):
        bind([listen])
