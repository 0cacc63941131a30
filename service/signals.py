"""The signals that tell a process to stop."""

import asyncio
import signal
from collections.abc import Callable


def stop_by(stop: Callable[[], None]) -> None:
    """Call `stop` on the running loop at each of them.

    A closed terminal sends SIGHUP, which would end the process at once; `nohup` has it ignored, and so it stays.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
