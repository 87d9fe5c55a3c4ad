"""The `websockets` library's client: messages of every kind and size, both ways, until either side closes."""

import concurrent.futures
import os

import websockets
from facts import URL, check, raises
from websockets.sync.client import connect

LIVE = URL.replace("https://", "wss://") + "/live"
open_connection = lambda **options: connect(LIVE, max_size=2**24, open_timeout=30, **options)


def messages_come_back_as_they_went():
    with open_connection() as connection:
        for message in ["", "text é", b"\x00\xff", "x" * 70_000, os.urandom(3_000_000)]:
            connection.send(message)
            assert connection.recv(timeout=30) == message, f"{len(message)} bytes"


def a_subprotocol_is_agreed_upon():
    with open_connection(subprotocols=["other", "chat"]) as connection:
        assert connection.subprotocol == "chat", connection.subprotocol


def fragments_and_pings_pass():
    with open_connection() as connection:
        connection.send(["one", " ", "two"])
        assert connection.recv(timeout=30) == "one two"
        assert connection.ping(b"here?").wait(30), "no pong"


def the_server_closes_with_its_own_words():
    with open_connection() as connection:
        connection.send("close")
        error = raises(websockets.ConnectionClosedError, lambda: connection.recv(timeout=30))
        assert (error.rcvd.code, error.rcvd.reason) == (4001, "as you wish"), error


def many_talk_at_the_same_time():
    def talk(number):
        with open_connection() as connection:
            for turn in range(10):
                connection.send(f"{number} {turn}")
                assert connection.recv(timeout=30) == f"{number} {turn}"

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(talk, range(16)))


def no_upgrade_where_no_route_leads():
    refused = lambda: connect(URL.replace("https://", "wss://") + "/elsewhere", open_timeout=30)
    error = raises(websockets.exceptions.InvalidStatus, refused)
    assert error.response.status_code == 404, error


check(
    messages_come_back_as_they_went,
    a_subprotocol_is_agreed_upon,
    fragments_and_pings_pass,
    the_server_closes_with_its_own_words,
    many_talk_at_the_same_time,
    no_upgrade_where_no_route_leads,
)
