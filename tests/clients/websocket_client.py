"""The `websockets` library's client: messages of every kind and size, both ways, until either side closes.

Its asyncio client, not the one that blocks: that one reads and writes TLS on two threads, and while the tickets of TLS 1.3
are being read, OpenSSL may swallow what the other thread writes. Then the request never leaves.
"""

import asyncio
import os

import websockets
from facts import URL, check
from websockets.asyncio.client import connect

PATIENCE = 30
WSS = URL.replace("https://", "wss://")
open_connection = lambda **options: connect(WSS + "/live", max_size=2**24, open_timeout=PATIENCE, **options)
soon = lambda awaited: asyncio.wait_for(awaited, PATIENCE)


async def failure(kind, awaited):
    """The error of exactly this kind that something must end with."""
    [outcome] = await asyncio.gather(awaited, return_exceptions=True)
    assert type(outcome) is kind, f"{kind.__name__} was to be raised, not {outcome!r}"
    return outcome


async def messages_come_back_as_they_went():
    async with open_connection() as connection:
        for message in ["", "text é", b"\x00\xff", "x" * 70_000, os.urandom(3_000_000)]:
            await connection.send(message)
            assert await soon(connection.recv()) == message, f"{len(message)} bytes"


async def a_subprotocol_is_agreed_upon():
    async with open_connection(subprotocols=["other", "chat"]) as connection:
        assert connection.subprotocol == "chat", connection.subprotocol


async def fragments_and_pings_pass():
    async with open_connection() as connection:
        await connection.send(["one", " ", "two"])
        assert await soon(connection.recv()) == "one two"
        await soon(await connection.ping(b"here?"))


async def the_server_closes_with_its_own_words():
    async with open_connection() as connection:
        await connection.send("close")
        error = await failure(websockets.ConnectionClosedError, soon(connection.recv()))
        assert (error.rcvd.code, error.rcvd.reason) == (4001, "as you wish"), error


async def many_talk_at_the_same_time():
    async def talk(number):
        async with open_connection() as connection:
            for turn in range(10):
                await connection.send(f"{number} {turn}")
                assert await soon(connection.recv()) == f"{number} {turn}"

    await asyncio.gather(*(talk(number) for number in range(16)))


async def no_upgrade_where_no_route_leads():
    refused = connect(WSS + "/elsewhere", open_timeout=PATIENCE)
    error = await failure(websockets.exceptions.InvalidStatus, refused)
    assert error.response.status_code == 404, error


check(
    messages_come_back_as_they_went,
    a_subprotocol_is_agreed_upon,
    fragments_and_pings_pass,
    the_server_closes_with_its_own_words,
    many_talk_at_the_same_time,
    no_upgrade_where_no_route_leads,
)
