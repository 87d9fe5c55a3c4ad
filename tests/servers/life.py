"""The life of a server that a test starts: it says where it listens, and ends when the test does."""

import json
import os
import signal
import sys
import threading


# How long a server may take to stop, in seconds.
STOP_PATIENCE = 20


def serve_until_the_test_ends(stop=lambda: None, **ports: int) -> None:
    """Prints the ports as one line of JSON, then waits for the end of stdin, which is the end of the test.

    The server is the leader of its process group, and nothing of the group may outlive it.
    """
    os.write(announcements, (json.dumps(ports) + "\n").encode())
    sys.stdin.buffer.read()
    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    stopping.join(STOP_PATIENCE)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


# Servers are talkative, so stdout becomes their log, and only the announcement goes to the real one.
announcements = os.dup(1)
os.dup2(2, 1)
