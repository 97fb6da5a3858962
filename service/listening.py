"""Listening sockets at the stop of a server: no connection may begin between the last accept and the close.

The system resets a connection that was begun and not accepted, and its request is lost. A socket filter in front of the
listening socket closes this gap (Linux, `SO_ATTACH_FILTER`, socket(7)).
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress

_SO_ATTACH_FILTER = 26
"""Of Linux; Python's `socket` does not name it."""
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
"""Instructions of classic BPF, as linux/filter.h encodes them."""
_FLAGS_BYTE = 13
"""Offset of the flags in a TCP header (RFC 9293)."""
_SYN = 0x02
_DISCARD, _ALL_BYTES = 0, 0xFFFFFFFF
_NO_SYN = b"".join(
    struct.pack("=HBBI", code, if_true, if_false, operand)
    for code, if_true, if_false, operand in (
        (_LOAD_BYTE, 0, 0, _FLAGS_BYTE),
        (_JUMP_IF_SET, 0, 1, _SYN),
        (_RETURN, 0, 0, _DISCARD),
        (_RETURN, 0, 0, _ALL_BYTES),
    )
)
_INSTRUCTION_BYTES = 8


def begin_no_connection(listening: socket.socket) -> None:
    """Discard the packets that would begin a connection. Those whose handshake has begun are still completed.

    A client sends its packet again a second later, and is refused if the socket is closed by then. Other systems than
    Linux have no such filter: there nothing happens.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    described = struct.pack("@HP", len(_NO_SYN) // _INSTRUCTION_BYTES, ctypes.addressof(program))
    with suppress(OSError):  # a sandbox may not allow it
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
