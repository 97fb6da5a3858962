"""A listening socket that begins no connection keeps those that have begun."""

from __future__ import annotations

import socket
import sys

import pytest

from service.listening import begin_no_connection

FAMILIES = [pytest.param(socket.AF_INET, "127.0.0.1", id="IPv4"), pytest.param(socket.AF_INET6, "::1", id="IPv6")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has socket filters")
@pytest.mark.parametrize(("family", "address"), FAMILIES)
def test_no_connection_begins_and_those_that_have_begun_are_kept(family, address):
    with socket.create_server((address, 0), family=family) as listening:
        listening.settimeout(5)
        place = listening.getsockname()[:2]
        with socket.create_connection(place) as begun:
            begin_no_connection(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(place, timeout=0.3)
            begun.sendall(b"a request")
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(100) == b"a request"
                accepted.sendall(b"a response")
            assert begun.recv(100) == b"a response"
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()
