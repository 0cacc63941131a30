"""Clients that call a service while something happens to it, and what became of their calls.

    python -m tests.docker.load PORT -- COMMAND ...   the command runs meanwhile; every call must be answered right
    python -m tests.docker.load PORT                  until the port is closed; no call that was accepted may be lost
                                                      (a line on standard input says that the end begins)

The four calls go round, with the pictures of `docs/examples`; every answer is compared, byte for byte, with
the one that the service gave while nothing else ran. The exit code is 1 if a call failed. Nothing but the
standard library and `service` is imported, so that this runs in the image as well, beside a service in a
container whose network it shares.
"""

import argparse
import http.client
import shlex
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

from tests.robustness.hammer import Call, Hammer, Outcome, hammering

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
AROUND = 100
"""Right answers before the event, and after it."""
PNG_HEAD = 33
"""Bytes of a PNG before its second chunk."""
JSON, PNG = "application/json", "image/png"


def calls(port: int, heavy: int = 0) -> list[Call]:
    """One call of each kind, with the answer that it gets while nothing else runs.

    The picture to encode has `heavy` bytes more than it needs, in a chunk that readers skip.
    """
    asked = [
        ("recommend", JSON, b'{"users": [{"liked": ["1214", "1240"]}, {"liked": ["260", "2"]}], "count": 20}'),
        ("denoise", PNG, (EXAMPLES / "noisy.png").read_bytes()),
        ("encode", PNG, _heavier((EXAMPLES / "seven.png").read_bytes(), heavy)),
        ("generate", JSON, b'{"seed": 7, "class": 3, "count": 4}'),
    ]
    made: list[Call] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for name, kind, body in asked:
        connection.request("POST", f"/v1/{name}", body, {"content-type": kind})
        answer = connection.getresponse()
        right = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{name}: {answer.status} {right[:300]!r}")
        made.append(Call("POST", f"/v1/{name}", kind, body, right))
    connection.close()
    return made


def through(hammer: Hammer, command: list[str]) -> tuple[list[Outcome], int]:
    """Run the command while the clients call: the calls that failed, and the command's exit code."""
    hammer.more(AROUND)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(f"{shlex.join(command)} ended with exit code {done.returncode}:\n{done.stdout}")
    hammer.more(AROUND)
    hammer.end()
    return [outcome for outcome in hammer.outcomes if outcome.what != "right"], done.returncode


def to_the_end(hammer: Hammer) -> list[Outcome]:
    """Call until the port is closed: the calls that failed though the service had accepted them.

    Says `calling`, and takes the line that it then reads for the beginning of the end. None that was sent before
    may fail, nor any on a new connection; an old connection may be closed under a call that comes after.
    """
    hammer.more(AROUND)
    print("calling", flush=True)
    sys.stdin.readline()
    told = time.monotonic()
    hammer.wait()
    allowed = {"right", "draining", "refused", "asleep"}
    return [
        outcome
        for outcome in hammer.outcomes
        if outcome.what not in allowed and (outcome.what != "lost" or outcome.fresh or outcome.began < told)
    ]


def main() -> int:
    """Say in one line what became of the calls."""
    parser = argparse.ArgumentParser(
        usage="python -m tests.docker.load [--clients N] [--heavy BYTES] PORT [-- COMMAND ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("port", type=int, help="on 127.0.0.1")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--heavy", type=int, default=0, metavar="BYTES", help="more bytes in the picture to encode")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    command = sys.argv[at + 1 :]
    options = parser.parse_args(sys.argv[1:at])
    code = 0
    began = time.monotonic()
    with hammering(options.port, calls(options.port, options.heavy), options.clients) as hammer:
        if command:
            failed, code = through(hammer, command)
        else:
            failed = to_the_end(hammer)
    outcomes = hammer.outcomes
    slowest = max(outcome.ended - outcome.began for outcome in outcomes if outcome.what == "right")
    counted = Counter(outcome.what.split(" ")[0] for outcome in outcomes)
    said = ", ".join(f"{count} {what}" for what, count in counted.most_common())
    print(
        f"{len(failed)} failed of {len(outcomes)} calls of {options.clients} clients"
        f" in {time.monotonic() - began:.0f} s ({said}; slowest {slowest:.2f} s)"
    )
    for outcome in failed[:5]:
        print(f"  {outcome.call.path}: {outcome.what}")
    return 1 if failed else code


def _heavier(png: bytes, size: int) -> bytes:
    if not size:
        return png
    named = b"noTE" + bytes(size)
    chunk = size.to_bytes(4, "big") + named + zlib.crc32(named).to_bytes(4, "big")
    return png[:PNG_HEAD] + chunk + png[PNG_HEAD:]


if __name__ == "__main__":
    sys.exit(main())
