"""Anthropic's own Python client: nothing but its base URL is changed.

`smollm2` is real; `simulated` is asked where a small model cannot be relied upon, and for faults.
"""

import anthropic
from facts import URL, check, raises

client = anthropic.Anthropic(base_url=URL, api_key="unused", max_retries=0, timeout=60)
MODEL = "smollm2"
ASKED = dict(
    model=MODEL,
    max_tokens=16,
    messages=[{"role": "user", "content": "What is the capital of France?"}],
    extra_body={"temperature": 0},
)

SIMULATED = dict(model="simulated", max_tokens=64, messages=ASKED["messages"])
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "input_schema": CITY}


def faulty(fault: str, **arguments):
    """A message to the simulated server that goes wrong in a certain way."""
    return client.messages.create(**SIMULATED, **arguments, extra_headers={"x-simulator-faults": fault})


def a_message_is_answered():
    answer = client.messages.create(**ASKED)
    assert answer.content[0].text and answer.usage.output_tokens, answer
    assert answer.role == "assistant" and answer.stop_reason in ("end_turn", "max_tokens"), answer


def a_message_streams_typed_events():
    kinds = [event.type for event in client.messages.create(**ASKED, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert kinds.count("content_block_delta") > 2, kinds


def a_streamed_message_says_what_a_whole_one_says():
    whole = client.messages.create(**ASKED).content[0].text
    with client.messages.stream(**ASKED) as stream:
        streamed = "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens, stream
    assert streamed == whole, (streamed, whole)


def input_tokens_are_counted():
    counted = client.messages.count_tokens(model=MODEL, messages=ASKED["messages"])
    assert 5 < counted.input_tokens < 100, counted


def a_model_without_a_route_is_not_found():
    error = raises(anthropic.NotFoundError, lambda: client.messages.create(**{**ASKED, "model": "claude-0"}))
    assert error.body["error"]["type"] == "not_found_error" and error.request_id, error.body


def a_backends_own_refusal_comes_through():
    bad = lambda: client.messages.create(model=MODEL, max_tokens=4, messages=[{"role": "nobody"}])
    raises(anthropic.BadRequestError, bad)


def a_backend_that_is_down_is_unavailable():
    error = raises(anthropic.ServiceUnavailableError, lambda: client.messages.create(**{**ASKED, "model": "down"}))
    assert error.response.headers["retry-after"], error.response.headers


def a_tool_is_called_and_its_result_is_told():
    answer = client.messages.create(**SIMULATED, tools=[WEATHER])
    called = answer.content[-1]
    assert answer.stop_reason == "tool_use" and (called.name, list(called.input)) == ("weather", ["city"]), answer
    result = {"type": "tool_result", "tool_use_id": called.id, "content": "sunny"}
    turns = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    told = {**SIMULATED, "messages": SIMULATED["messages"] + turns}
    assert client.messages.create(**told, tools=[WEATHER]).stop_reason == "end_turn"


def a_tool_call_streams_in_pieces():
    with client.messages.stream(**SIMULATED, tools=[WEATHER]) as stream:
        pieces = [event for event in stream if event.type == "input_json"]
        called = stream.get_final_message().content[-1]
    assert pieces and list(called.input) == ["city"], called


def a_backends_errors_are_of_their_kinds():
    for status, kind in {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        403: anthropic.PermissionDeniedError,
        404: anthropic.NotFoundError,
        413: anthropic.RequestTooLargeError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.OverloadedError,
    }.items():
        error = raises(kind, lambda: faulty(f"status={status}"))
        assert error.status_code == status, error


def a_stream_that_breaks_is_an_error_and_not_an_end():
    for fault in ("close-after=3", "reset-after=3"):
        received = []
        error = raises(anthropic.APIStatusError, lambda: received.extend(faulty(fault, stream=True)))
        assert received and received[-1].type != "message_stop", received
        assert error.body["error"]["type"] == "api_error", error.body


check(
    a_message_is_answered,
    a_message_streams_typed_events,
    a_streamed_message_says_what_a_whole_one_says,
    input_tokens_are_counted,
    a_model_without_a_route_is_not_found,
    a_backends_own_refusal_comes_through,
    a_backend_that_is_down_is_unavailable,
    a_tool_is_called_and_its_result_is_told,
    a_tool_call_streams_in_pieces,
    a_backends_errors_are_of_their_kinds,
    a_stream_that_breaks_is_an_error_and_not_an_end,
)
