"""The service's port: claimed before anything slow is imported, shared by workers, closed without loss."""

import contextlib
import errno
import select
import socket

BACKLOG = 2048
"""Connections that the system accepts before the service takes them."""
IP_MINTTL, IPV6_MINHOPCOUNT, MOST_HOPS = 21, 73, 255
"""Of Linux; Python does not name them. Packets with fewer hops to live are dropped."""


class CannotListen(Exception):
    """The message is one sentence that says why."""


def claim(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of `host`, bound to one port where nobody listens. With port 0: to a free one.

    Raises:
        CannotListen: the host has no address here, or the port is taken or not allowed.
    """
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, *_, address in addresses):
            number = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(_bound(family, (address[0], number, *address[2:])))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error  # `localhost` has an IPv6 address also where there is no IPv6
        if not bound:
            raise missing or OSError(f"{host} has no address")
    except OSError as error:
        for sock in bound:
            sock.close()
        reason = (error.strerror or str(error)).lower()
        if error.errno == errno.EADDRINUSE:
            reason = "it is in use, HARMONIUM_PORT chooses another"
        raise CannotListen(f"Cannot listen on {host}, port {port}: {reason}.") from error
    return bound


def reserve(claimed: list[socket.socket]) -> None:
    """Keep the port for sockets of `share`: as long as `claimed` stay open, nobody else can listen there.

    They were claimed without SO_REUSEPORT, or another service that has it would have gone unnoticed.
    """
    for sock in claimed:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def share(reserved: list[socket.socket]) -> list[socket.socket]:
    """Further sockets on the same addresses. The system spreads connections over those that listen."""
    return [_bound(sock.family, sock.getsockname(), socket.SO_REUSEPORT) for sock in reserved]


def refuse_more(sock: socket.socket) -> None:
    """Take no further connections, so that the queue of those that were accepted comes to its end.

    Closing the socket instead would reset them, with the requests that they have sent. A caller
    who comes now is not answered at all; its system tries again a second later, and finds another
    worker or a closed port. Systems that send with fewer hops to live than the most there are,
    which are all but a few, are dropped so. A filter that drops every packet would need a right,
    CAP_NET_ADMIN, since 2026. Linux only; elsewhere the queue is emptied as well as can be.
    """
    of_version_6 = sock.family == socket.AF_INET6
    option = (socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT) if of_version_6 else (socket.IPPROTO_IP, IP_MINTTL)
    with contextlib.suppress(OSError):
        sock.setsockopt(*option, MOST_HOPS)


def queued(sock: socket.socket) -> bool:
    """Whether something waits to be taken from the socket: a connection, or bytes."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def greeting(sock: socket.socket) -> str:
    """What to type into a browser: the page to try the calls on, and that of all their fields."""
    host, port = sock.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return f"{address}/ and {address}/docs"


def _bound(family: int, address: tuple[str | int, ...], *options: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in (socket.SO_REUSEADDR, *options):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
