"""A WebSocket server of the `websockets` library: sends back what it is sent, and closes when it is told to."""

import threading

import life
from websockets.sync.server import serve


def echo(connection):
    for message in connection:
        if message == "close":
            connection.close(4001, "as you wish")
            return
        connection.send(message)


def chat_if_offered(connection, offered):
    return "chat" if "chat" in offered else None


server = serve(
    echo, "127.0.0.1", 0, subprotocols=["chat"], select_subprotocol=chat_if_offered, max_size=2**24, compression="deflate"
)
threading.Thread(target=server.serve_forever, daemon=True).start()
life.serve_until_the_test_ends(http=server.socket.getsockname()[1])
