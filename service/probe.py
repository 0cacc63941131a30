"""`python -m service.probe`: exit code 0 if the service on this machine is ready, else 1 and the reason.

A container's health check runs every few seconds, so this imports the standard library's smallest
parts alone: no settings, no HTTP client.
"""

import os
import socket
import sys

SECONDS = 2.0
"""How long connecting, and each wait for bytes, may take."""


def main() -> int:
    """Ask GET /readyz once."""
    port = os.environ.get("HARMONIUM_PORT") or "8000"
    try:
        answer = ask(int(port))
    except (OSError, ValueError, OverflowError) as error:
        print(f"port {port}: {error}")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode("ascii", "replace"))
    return 0 if head.split(b" ", 2)[1:2] == [b"200"] else 1


def ask(port: int) -> bytes:
    """The whole answer of the service on `port`, head and body.

    Raises:
        OSError, OverflowError: nobody answers in time, or there is no such port.
    """
    with socket.create_connection(("localhost", port), SECONDS) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


if __name__ == "__main__":
    sys.exit(main())
