"""`python -m service`: serves until it is told to stop, in one process or in several."""

import gc
import os
import signal
import sys
from types import FrameType

OPEN = "no keys: whoever reaches %s port %d may call; HARMONIUM_KEYS names a file of keys"


def main() -> int:
    """Serve; the exit code is 0 after a signal, 2 for a wrong setting or any argument, 1 for all else that ends it.

    What a process does not need, it does not import: one that serves no supervisor, and that no server.
    """
    if len(sys.argv) > 1:
        print(
            f"There are no arguments, but {sys.argv[1]!r} was given: settings are HARMONIUM_* variables.",
            file=sys.stderr,
        )
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    gc.disable()  # of what is imported nothing becomes garbage, and looking for it takes a tenth of the start
    import asyncio
    import logging

    from service import listening, logs
    from service import settings as configuration
    from service.keys import Keys, WrongKeys

    try:
        settings = configuration.read()
        keys = Keys(settings.keys_file)
        claimed = listening.claim(settings.host, settings.port)
    except configuration.WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    except WrongKeys as error:
        print(f"HARMONIUM_KEYS: {error}.", file=sys.stderr)
        return 2
    except listening.CannotListen as error:
        print(error, file=sys.stderr)
        return 1
    logs.begin(settings.log_level, settings.log_format)
    if keys.open:
        logging.getLogger("service").warning(OPEN, *claimed[0].getsockname()[:2])
    else:
        logging.getLogger("service").info("%s", keys.told())
    for name in configuration.unknown():
        logging.getLogger("service").warning("%s is no setting: nothing reads it", name)
    if settings.processes > 1:
        import tempfile
        from pathlib import Path

        from service.supervisor import Supervisor

        gc.enable()
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

    gc.freeze()
    gc.enable()
    Server(settings).run(claimed)
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    """Before the loop runs no request is read. The first process of a container would not even die of the signal."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
