"""The port at its end, as the system treats it."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import environment

PROGRAM = """
import socket, sys
from service import listening
(sock,) = listening.claim(sys.argv[1], 0)
sock.listen()
before = socket.create_connection(sock.getsockname()[:2], 5)
listening.refuse_more(sock)
with socket.socket(sock.family) as late:
    late.settimeout(0.5)
    try:
        late.connect(sock.getsockname())
    except TimeoutError:
        print("not answered")
taken, _ = sock.accept()
sock.close()
before.sendall(b"sent before")
print(taken.recv(64).decode())
"""
PR_CAPBSET_DROP, CAP_NET_ADMIN = 24, 12


def without_rights() -> None:
    """What is run next may not administer the network, even as root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops packets by their hops to live")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_refuses_more_answers_nobody_and_keeps_those_it_has(tmp_path: Path, host: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, host],
        env=environment(tmp_path),
        preexec_fn=without_rights,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if host == "::1" and "Cannot listen on ::1" in done.stderr:
        pytest.skip("there is no IPv6 here")
    assert done.stdout.splitlines() == ["not answered", "sent before"], done.stderr
