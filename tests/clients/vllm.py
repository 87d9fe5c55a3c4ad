"""OpenAI's and Anthropic's own clients before a real vLLM, and vLLM's own metrics beside them."""

import concurrent.futures
import os
import time
import urllib.request

import anthropic
import openai
from facts import URL, check, raises

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0, timeout=120)
MODEL = "smollm2"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CHAT = dict(model=MODEL, messages=QUESTION, max_tokens=24, temperature=0)


def metric(name: str) -> float:
    """A sum over vLLM's own metrics page, which is asked directly."""
    with urllib.request.urlopen(os.environ["VLLM_URL"] + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " "))]
    assert values, f"vLLM has no metric {name}"
    return sum(values)


def a_chat_says_paris():
    answer = client.chat.completions.create(**CHAT)
    assert "Paris" in answer.choices[0].message.content, answer


def a_streamed_chat_says_what_a_whole_one_says():
    whole = client.chat.completions.create(**CHAT).choices[0].message.content
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole, (streamed, whole)
    assert chunks[-1].usage.completion_tokens > 3, chunks[-1]


def two_choices_are_two():
    answer = client.chat.completions.create(**{**CHAT, "temperature": 1}, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1], answer


def a_named_tool_is_called():
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": city}}
    named = {"type": "function", "function": {"name": "weather"}}
    answer = client.chat.completions.create(**{**CHAT, "max_tokens": 64}, tools=[tool], tool_choice=named)
    # Which arguments such a small model gives is its own affair.
    assert answer.choices[0].message.tool_calls[0].function.name == "weather", answer


def a_prompt_is_completed():
    assert client.completions.create(model=MODEL, prompt="One, two, three,", max_tokens=8).choices[0].text


def a_response_streams_typed_events():
    events = client.responses.create(model=MODEL, input="Name a colour.", max_output_tokens=16, stream=True)
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and "response.output_text.delta" in kinds, kinds


def anthropics_client_is_answered_too():
    other = anthropic.Anthropic(base_url=URL, api_key="unused", max_retries=0, timeout=120)
    with other.messages.stream(model=MODEL, max_tokens=16, messages=QUESTION) as stream:
        assert "".join(stream.text_stream)


def load_reports_are_for_the_gateway_alone():
    asked = {"endpoint-load-metrics-format": "TEXT"}
    straight = client.with_options(base_url=os.environ["VLLM_URL"] + "/v1")
    shown = lambda asked_of: [
        name
        for name in asked_of.chat.completions.with_raw_response.create(**CHAT, extra_headers=asked).headers
        if name.startswith("endpoint-load-metrics")
    ]
    assert shown(straight) and not shown(client), (shown(straight), shown(client))


def a_backends_own_refusal_comes_through():
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(**{**CHAT, "max_tokens": 100_000}))
    assert "max_tokens" in error.message or "context length" in error.message, error.message


def forty_streams_share_the_server_and_none_fails():
    def stream(number):
        asked = {**CHAT, "messages": [{"role": "user", "content": f"Count to {number}."}]}
        chunks = list(client.chat.completions.create(**asked, stream=True))
        assert chunks[-1].choices[0].finish_reason, chunks[-1]

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(stream, range(40)))
    print(f"       40 streams, 8 at a time: {time.monotonic() - begun:.1f} s")


def generation_stops_when_the_client_goes_away():
    endless = {**CHAT, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
    before = metric("vllm:generation_tokens_total")
    stream = client.chat.completions.create(**endless, stream=True)
    next(iter(stream))
    assert metric("vllm:num_requests_running") >= 1
    stream.close()
    begun = time.monotonic()
    while metric("vllm:num_requests_running"):
        assert time.monotonic() - begun < 20, "vLLM goes on"
        time.sleep(0.05)
    print(f"       vLLM stopped {time.monotonic() - begun:.2f} s after the client went away")
    assert metric("vllm:generation_tokens_total") - before < 1500
    # One that is not streamed is stopped as well.
    raises(openai.APITimeoutError, lambda: client.chat.completions.create(**endless, timeout=1))
    while metric("vllm:num_requests_running"):
        assert time.monotonic() - begun < 30, "vLLM goes on"
        time.sleep(0.05)


check(
    a_chat_says_paris,
    a_streamed_chat_says_what_a_whole_one_says,
    two_choices_are_two,
    a_named_tool_is_called,
    a_prompt_is_completed,
    a_response_streams_typed_events,
    anthropics_client_is_answered_too,
    load_reports_are_for_the_gateway_alone,
    a_backends_own_refusal_comes_through,
    forty_streams_share_the_server_and_none_fails,
    generation_stops_when_the_client_goes_away,
)
