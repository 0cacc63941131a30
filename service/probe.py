"""`python -m service.probe`: exit code 0 if the service in this container is ready, else 1 and why.

It runs every few seconds beside the service, and takes its time from it: so it imports little, no
settings and no HTTP client, and what it takes from the environment has the defaults of `service.settings`.
"""

import os
import socket
import sys

SECONDS = 4.0
"""How long connecting may take, and each wait for more of the answer: less than the engine waits for the probe."""


def main() -> int:
    """Ask once whether calls can be answered."""
    host = os.environ.get("HARMONIUM_HOST") or "127.0.0.1"
    port = os.environ.get("HARMONIUM_PORT") or "8000"
    try:
        answer = ask(host, int(port))
    except (OSError, OverflowError, ValueError) as error:
        print(f"no answer from {host}, port {port}: {error}")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode(errors="replace"))
    return 0 if head.split(b" ")[1:2] == [b"200"] else 1


def ask(host: str, port: int) -> bytes:
    """The whole answer to GET /readyz, head and body. An address that means all of them means this machine.

    Raises:
        OSError: nobody answers there, or not in time.
        OverflowError: there is no such port.
    """
    # socket.create_connection would look the name up as an international one, whose tables take longer than all else.
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as connection:
        connection.settimeout(SECONDS)
        connection.connect((host, port))
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


if __name__ == "__main__":
    sys.exit(main())
