"""`python -m service`: serves until it is told to stop, in one process or in several."""

import asyncio
import sys
import tempfile
from pathlib import Path

from service import listening, logs
from service import settings as configuration


def main() -> int:
    """Serve; the exit code is 0 after a signal, 2 for a wrong setting, 1 for anything else that ends it.

    What a process does not need, it does not import: one that serves no supervisor, and that no server.
    """
    try:
        settings = configuration.read()
        claimed = listening.claim(settings.host, settings.port)
    except configuration.WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    except listening.CannotListen as error:
        print(error, file=sys.stderr)
        return 1
    logs.begin(settings.log_level)
    if settings.processes > 1:
        from service.supervisor import Supervisor

        try:
            folder = tempfile.TemporaryDirectory(prefix="harmonium-", ignore_cleanup_errors=True)
        except OSError as error:
            print(f"Cannot make the folder for the metrics of several workers: {error.strerror}.", file=sys.stderr)
            return 1
        with folder as name:
            return asyncio.run(Supervisor(settings, claimed, Path(name)).run())
    for sock in claimed:
        sock.listen(listening.BACKLOG)
    from service.server import Server

    Server(settings).run(claimed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
