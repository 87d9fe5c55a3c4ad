"""OpenAI's own client, many at once: chats that stream and chats that do not, and streams that are left half read."""

import asyncio

import openai
from facts import URL, check

CHATS = 120
AT_ONCE = 24


async def chat(client, turn: int) -> None:
    asked = dict(model="simulated", messages=[{"role": "user", "content": f"say: this is answer {turn}"}])
    expected = f"this is answer {turn}"
    if turn % 3 == 0:
        answer = await client.chat.completions.create(**asked)
        assert answer.choices[0].message.content == expected, answer
        return
    said = ""
    async with await client.chat.completions.create(**asked, stream=True) as stream:
        async for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if turn % 3 == 1 and said:
                return
    assert said == expected, said


def everyone_hears_the_answer_to_what_they_asked():
    async def crowd():
        gate = asyncio.Semaphore(AT_ONCE)
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0, timeout=60) as client:

            async def one(turn):
                async with gate:
                    await chat(client, turn)

            await asyncio.gather(*(one(turn) for turn in range(CHATS)))

    asyncio.run(crowd())


check(everyone_hears_the_answer_to_what_they_asked)
