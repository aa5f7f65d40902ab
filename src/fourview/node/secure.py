"""TLS of the node: 1.2 or newer, with certificates on both sides."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

from fourview.errors import NodeError
from fourview.node.settings import Tls

HANDSHAKE_S = 10.0  # a peer that connects and says nothing must not keep others out


class _Listening(ssl.SSLContext):
    """Bounds the handshake in time, and tells of those that fail."""

    refused: Callable[[str], None]

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        before = sock.gettimeout()
        sock.settimeout(HANDSHAKE_S)
        try:
            wrapped = super().wrap_socket(sock, *args, **kwargs)
        except OSError as error:  # of which SSLError is one
            self.refused(getattr(error, "reason", None) or type(error).__name__)
            sock.close()
            raise
        wrapped.settimeout(before)
        return wrapped


def listening(tls: Tls, refused: Callable[[str], None]) -> ssl.SSLContext:
    """What the receiver asks of its peers.

    Args:
        tls: Files.
        refused: Called with the reason where a peer's handshake fails.

    Raises:
        NodeError: A file cannot be used.
    """
    context = _Listening(ssl.PROTOCOL_TLS_SERVER)
    context.refused = refused
    return _loaded(context, tls)


def calling(tls: Tls) -> ssl.SSLContext:
    """What the node asks of destinations, and shows them.

    Raises:
        NodeError: A file cannot be used.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def _loaded(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        context.load_verify_locations(tls.authority)
    except (OSError, ssl.SSLError) as error:
        raise NodeError(f"[node.tls]: a file cannot be used ({error}); need PEM files") from error
    return context
