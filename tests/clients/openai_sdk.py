"""OpenAI's own Python client: nothing but its base URL is changed.

`smollm2` is real; `simulated` is asked where a small model cannot be relied upon, and for faults.
"""

import json
import ssl

import httpx2
import openai
from facts import URL, check, raises

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0, timeout=60)
MODEL = "smollm2"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "weather", "strict": True, "parameters": CITY}}


def faulty(fault: str, **arguments):
    """A chat with the simulated server that goes wrong in a certain way."""
    asked = dict(model="simulated", messages=QUESTION, extra_headers={"x-simulator-faults": fault})
    return client.chat.completions.create(**asked, **arguments)


def read(stream):
    for chunk in stream:
        yield from (choice.delta.content for choice in chunk.choices)


def a_chat_is_answered():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, seed=1)
    assert len(answer.choices[0].message.content) > 3, answer
    assert 0 < answer.usage.completion_tokens <= 24, answer.usage
    assert answer._request_id, "every answer names its request"


def a_chat_streams_piece_by_piece():
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    pieces, usage, reason = [], None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            reason = choice.finish_reason or reason
    assert len([piece for piece in pieces if piece]) > 3, pieces
    assert usage.completion_tokens > 3 and reason in ("stop", "length"), (usage, reason)


def a_streamed_chat_says_what_a_whole_one_says():
    arguments = dict(model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, seed=1)
    whole = client.chat.completions.create(**arguments).choices[0].message.content
    chunks = client.chat.completions.create(**arguments, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert streamed == whole, (streamed, whole)


def two_choices_are_two():
    arguments = dict(model=MODEL, messages=QUESTION, max_tokens=8, n=2)
    assert [choice.index for choice in client.chat.completions.create(**arguments).choices] == [0, 1]
    indices = {choice.index for chunk in client.chat.completions.create(**arguments, stream=True) for choice in chunk.choices}
    assert indices == {0, 1}, indices


def an_answer_keeps_to_a_schema():
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=64, temperature=0, response_format=form
    )
    assert answer.choices[0].message.content.lstrip().startswith("{"), answer


def a_prompt_is_completed():
    arguments = dict(model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0)
    assert client.completions.create(**arguments).choices[0].text
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(**arguments, stream=True))


def a_response_is_made_and_streams_typed_events():
    arguments = dict(model=MODEL, input="What is the capital of France?", max_output_tokens=16, temperature=0)
    assert client.responses.create(**arguments).output_text
    kinds = [event.type for event in client.responses.create(**arguments, stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert kinds.count("response.output_text.delta") > 2, kinds


def texts_are_embedded():
    answer = client.embeddings.create(model=MODEL, input=["a cat", "a dog"])
    assert [len(item.embedding) for item in answer.data] == [576, 576], "SmolLM2-135M has 576 dimensions"


def models_are_listed():
    assert MODEL in [model.id for model in client.models.list()]


def raw_answers_show_no_server_behind_the_gateway():
    answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=2)
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    assert "server" not in answer.headers and answer.headers["x-request-id"], answer.headers


def a_model_without_a_route_is_not_found():
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-0", messages=QUESTION))
    assert error.code == "route_not_found" and error.request_id, (error.code, error.request_id)


def a_body_that_names_two_models_is_a_bad_request():
    twice = b'{"model": "smollm2", "model": "other", "messages": []}'
    post = lambda: client.post("/chat/completions", content=twice, cast_to=object)
    error = raises(openai.BadRequestError, post)
    assert "model" in error.message, error.message


def a_backends_own_refusal_comes_through():
    bad = lambda: client.chat.completions.create(model=MODEL, messages=[{"role": "nobody"}])
    error = raises(openai.BadRequestError, bad)
    assert error.type == "invalid_request_error", error.body


def a_backend_that_is_down_is_a_server_error():
    down = lambda: client.chat.completions.create(model="down", messages=QUESTION)
    error = raises(openai.InternalServerError, down)
    assert error.status_code == 503 and error.response.headers["retry-after"], error.response.headers


def a_tool_is_called_and_its_result_is_told():
    answer = client.chat.completions.create(model="simulated", messages=QUESTION, tools=[WEATHER])
    called = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls" and called.function.name == "weather", answer
    assert list(json.loads(called.function.arguments)) == ["city"], called
    result = {"role": "tool", "tool_call_id": called.id, "content": "sunny"}
    told = [*QUESTION, answer.choices[0].message, result]
    assert client.chat.completions.create(model="simulated", messages=told, tools=[WEATHER]).choices[0].message.content


def a_tool_call_streams_in_pieces():
    with client.chat.completions.stream(model="simulated", messages=QUESTION, tools=[WEATHER]) as stream:
        pieces = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        called = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert pieces and list(json.loads(called.function.arguments)) == ["city"], called


def a_backends_errors_are_of_their_kinds():
    for status, kind in {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        503: openai.InternalServerError,
    }.items():
        error = raises(kind, lambda: faulty(f"status={status}"))
        assert error.status_code == status and error.request_id, error


def a_stream_that_breaks_is_an_error_and_not_an_end():
    for fault in ("close-after=3", "reset-after=3"):
        received = []
        error = raises(openai.APIError, lambda: received.extend(read(faulty(fault, stream=True))))
        assert error.code == "upstream_truncated", (fault, error.code, error.message)


def a_client_that_waits_no_longer_is_no_harm():
    raises(openai.APITimeoutError, lambda: faulty("delay-ms=60000", timeout=0.3))
    assert faulty("").choices[0].message.content


def an_unknown_authority_is_not_trusted():
    stranger = openai.OpenAI(
        base_url=f"{URL}/v1",
        api_key="unused",
        max_retries=0,
        http_client=httpx2.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
    )
    raises(openai.APIConnectionError, stranger.models.list)


check(
    a_chat_is_answered,
    a_chat_streams_piece_by_piece,
    a_streamed_chat_says_what_a_whole_one_says,
    two_choices_are_two,
    an_answer_keeps_to_a_schema,
    a_prompt_is_completed,
    a_response_is_made_and_streams_typed_events,
    texts_are_embedded,
    models_are_listed,
    raw_answers_show_no_server_behind_the_gateway,
    a_model_without_a_route_is_not_found,
    a_body_that_names_two_models_is_a_bad_request,
    a_backends_own_refusal_comes_through,
    a_backend_that_is_down_is_a_server_error,
    a_tool_is_called_and_its_result_is_told,
    a_tool_call_streams_in_pieces,
    a_backends_errors_are_of_their_kinds,
    a_stream_that_breaks_is_an_error_and_not_an_end,
    a_client_that_waits_no_longer_is_no_harm,
    an_unknown_authority_is_not_trusted,
)
