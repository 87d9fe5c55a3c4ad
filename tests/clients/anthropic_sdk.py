"""Anthropic's own Python client: nothing but its base URL is changed."""

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


def a_stream_that_breaks_is_an_error_and_not_an_end():
    received = []

    def read():
        for event in client.messages.create(**{**ASKED, "model": "broken"}, stream=True):
            received.append(event.type)

    error = raises(anthropic.APIStatusError, read)
    assert received == ["message_start"], received
    assert error.body["error"]["type"] == "api_error", error.body


check(
    a_message_is_answered,
    a_message_streams_typed_events,
    a_streamed_message_says_what_a_whole_one_says,
    input_tokens_are_counted,
    a_model_without_a_route_is_not_found,
    a_backends_own_refusal_comes_through,
    a_backend_that_is_down_is_unavailable,
    a_stream_that_breaks_is_an_error_and_not_an_end,
)
