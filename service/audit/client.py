"""An HTTP client of a registry for several threads. Each thread has one persistent connection."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

import orjson

from service.audit.checkpoints import CannotAudit

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
"""The time limit for the next bytes of an answer. Digests of large views take long."""
MOST_BYTES = 2**24
"""The limit of an answer, and of one line of a streamed answer. An event has at most 1 MiB of data."""
NDJSON = "application/x-ndjson"
_CHUNK = 2**18
_MOST_REASON = 2**16

T = TypeVar("T")


class Refused(Exception):
    """An answer with a status other than 200. The argument is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Client:
    """A client of one server. Every method raises CannotAudit if the server is unreachable; any thread may call it."""

    def __init__(self, url: str, key: str | None) -> None:
        """Raises CannotAudit if `url` is not an address."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            if host is None or parts.scheme not in ("http", "https"):
                raise ValueError("it is not an address of a server")
        except ValueError:
            raise CannotAudit(f"{url!r} is not an address; http://127.0.0.1:8080 is") from None
        self._url = url.rstrip("/")
        self._host, self._port, self._prefix = host, port, parts.path.rstrip("/")
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def get(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return the body of an answer of at most `most` bytes. Raises Refused."""
        return self.get_with_header(path, most=most)[0]

    def get_with_header(self, path: str, header: str = "", most: int = MOST_BYTES) -> tuple[bytes, str | None]:
        """Return the body of an answer of at most `most` bytes, and one of its headers. Raises Refused."""

        def body(connection: http.client.HTTPConnection) -> tuple[bytes, str | None]:
            response = self._answer(connection, path)
            if response.status != 200:
                raise Refused(response.status, self._reason(connection, response))
            content = response.read(most + 1)
            if len(content) > most:
                raise self._too_long(connection, path, most)
            if response.length:  # http.client does not report a truncated answer
                raise http.client.IncompleteRead(content, response.length)
            return content, response.headers.get(header)

        return self._requested(body)

    def lines(self, path: str) -> Iterator[list[bytes]]:
        """Yield the lines of an NDJSON answer as they arrive, over a connection of its own. Raises Refused."""
        connection = self._connected()
        try:
            response = self._answer(connection, path, NDJSON)
            if response.status != 200:
                raise Refused(response.status, self._reason(connection, response))
            rest = b""
            while chunk := response.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    yield lines
                if len(rest) > MOST_BYTES:
                    raise self._too_long(connection, path, MOST_BYTES)
            if response.length:  # http.client does not report a truncated answer
                raise http.client.IncompleteRead(rest, response.length)
            if rest:
                yield [rest]
        except (http.client.HTTPException, OSError) as error:
            raise CannotAudit(self._broken(error)) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections. No other thread may use the client any more."""
        for connection in self._connections:
            connection.close()

    def _requested(self, send: Callable[[http.client.HTTPConnection], T]) -> T:
        """Return the result of a request. It is repeated once if the server has closed the persistent connection."""
        persistent: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        for connection in (persistent, None):
            try:
                if connection is None:
                    connection = self._local.connection = self._connected()  # noqa: PLW2901 - the connection to use now
                return send(connection)
            except (http.client.HTTPException, OSError) as error:
                if connection is not None:
                    connection.close()
                self._local.connection = None
                if connection is not persistent:
                    raise CannotAudit(self._broken(error)) from None
        raise AssertionError("the second attempt has a new connection")

    def _connected(self) -> http.client.HTTPConnection:
        connection = self._make(self._host, self._port, timeout=CONNECT_SECONDS)
        self._connections.append(connection)
        try:
            connection.connect()
        except OSError as error:
            raise CannotAudit(self._broken(error)) from None
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection

    def _answer(
        self, connection: http.client.HTTPConnection, path: str, accepted: str = "*/*"
    ) -> http.client.HTTPResponse:
        headers = {**self._headers, "Accept": accepted}
        connection.request("GET", self._prefix + path, headers=headers)
        return connection.getresponse()

    def _broken(self, error: Exception) -> str:
        return f"{self._url}: {str(error) or type(error).__name__}"

    def _too_long(self, connection: http.client.HTTPConnection, path: str, most: int) -> CannotAudit:
        """Close the connection of an answer that is too long, and return the error."""
        connection.close()
        return CannotAudit(f"{self._url}{path} answered more than {most} bytes: it is not a registry")

    def _reason(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> str:
        content = response.read(_MOST_REASON)
        if not response.isclosed():  # the client would read the rest as the next answer
            connection.close()
        try:
            problem = orjson.loads(content)
            return f"{self._url}: {problem['title']}: {problem.get('detail', '')}".rstrip(": ")
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{self._url} answered {response.status}, as no registry does"
