"""Stock clients behind guardrails: an e-mail address in an answer is masked, `osprey` ends it, `heron` is not let in."""

import json
import os
import queue

import anthropic
import gevent.ssl
import numpy as np
import openai
import tritonclient.grpc
import tritonclient.http
from facts import ADDRESS, URL, check, raises
from tritonclient.utils import InferenceServerException

MODEL = "simulated"
SOON = 60
TOLD, MASKED = "Write to eve@corp.example today.", "Write to [personal] today."
NAMED, REFUSED = "It is an osprey, and it flies.", "It is an "

chats = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0, timeout=SOON)
messages = anthropic.Anthropic(base_url=URL, api_key="unused", max_retries=0, timeout=SOON)
over_http = tritonclient.http.InferenceServerClient(
    ADDRESS, ssl=True, ssl_context_factory=gevent.ssl.create_default_context, network_timeout=SOON
)
over_grpc = tritonclient.grpc.InferenceServerClient(ADDRESS, ssl=True, root_certificates=os.environ["SSL_CERT_FILE"])


def asking(text: str) -> dict:
    return dict(model=MODEL, messages=[{"role": "user", "content": f"say: {text}"}])


def schema(value: str) -> dict:
    return {"type": "object", "properties": {"to": {"type": "string", "const": value}}, "required": ["to"]}


def calling(value: str) -> dict:
    """A chat that is answered by a call with this argument."""
    tool = {"type": "function", "function": {"name": "send", "parameters": schema(value)}}
    return dict(model=MODEL, messages=[{"role": "user", "content": "Send it."}], tools=[tool])


def heard(stream) -> tuple[list[str], list[str]]:
    """What each of two choices says, and how it ends."""
    said, ends = ["", ""], ["", ""]
    for chunk in stream:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            ends[choice.index] += choice.finish_reason or ""
    return said, ends


def a_chat_of_two_choices_is_masked_and_stops():
    said, ends = heard(chats.chat.completions.create(**asking(TOLD), n=2, stream=True))
    assert said == [MASKED] * 2 and ends == ["stop"] * 2, (said, ends)


def a_chat_that_is_blocked_ends_as_filtered():
    said, ends = heard(chats.chat.completions.create(**asking(NAMED), n=2, stream=True))
    assert all(REFUSED.startswith(text.rstrip()) for text in said), said
    assert ends == ["content_filter"] * 2, ends


def whole_chats_are_masked_and_filtered():
    choice = chats.chat.completions.create(**asking(TOLD)).choices[0]
    assert (choice.message.content, choice.finish_reason) == (MASKED, "stop"), choice
    choice = chats.chat.completions.create(**asking(NAMED)).choices[0]
    assert choice.finish_reason == "content_filter" and "osprey" not in (choice.message.content or ""), choice


def arguments_of_a_tool_are_masked_and_still_json():
    with chats.chat.completions.stream(**calling("eve@corp.example")) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls", choice
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"to": "[personal]"}, choice
    whole = chats.chat.completions.create(**calling("eve@corp.example")).choices[0]
    assert json.loads(whole.message.tool_calls[0].function.arguments) == {"to": "[personal]"}, whole
    ends = [chunk.choices[0].finish_reason for chunk in chats.chat.completions.create(**calling("osprey"), stream=True)]
    assert ends[-1] == "content_filter", ends


def completions_are_masked_and_filtered():
    for stream in (True, False):
        for text, says, ends in ((TOLD, MASKED, "stop"), (NAMED, REFUSED, "content_filter")):
            answer = chats.completions.create(model=MODEL, prompt=f"say: {text}", stream=stream)
            choices = [chunk.choices[0] for chunk in (answer if stream else [answer])]
            said = "".join(choice.text or "" for choice in choices)
            assert choices[-1].finish_reason == ends, choices
            assert said == says or ends != "stop" and "osprey" not in said, said


def responses_are_masked_and_incomplete():
    def streamed(text: str):
        deltas, last = "", None
        for event in chats.responses.create(model=MODEL, input=f"say: {text}", stream=True):
            deltas += event.delta if event.type == "response.output_text.delta" else ""
            last = event
        return deltas, last

    said, last = streamed(TOLD)
    assert said == MASKED and last.type == "response.completed", (said, last)
    assert last.response.output_text == MASKED, last
    said, last = streamed(NAMED)
    assert REFUSED.startswith(said.rstrip()) and last.type == "response.incomplete", (said, last)
    assert last.response.incomplete_details.reason == "content_filter", last
    with chats.responses.stream(model=MODEL, input=f"say: {TOLD}") as stream:
        assert stream.get_final_response().output_text == MASKED
    assert chats.responses.create(model=MODEL, input=f"say: {TOLD}").output_text == MASKED
    whole = chats.responses.create(model=MODEL, input=f"say: {NAMED}")
    assert whole.status == "incomplete" and "osprey" not in whole.output_text, whole


def a_prompt_that_is_refused_is_a_bad_request():
    for stream in (True, False):
        error = raises(
            openai.BadRequestError, lambda: chats.chat.completions.create(**asking("a heron"), stream=stream)
        )
        assert error.code == "content_filter", error.body
    refused = lambda: messages.messages.create(**asking("a heron"), max_tokens=64)
    assert "heron" not in str(raises(anthropic.BadRequestError, refused).body)


def messages_are_masked_and_refused():
    with messages.messages.stream(**asking(TOLD), max_tokens=64) as stream:
        assert "".join(stream.text_stream) == MASKED
        assert stream.get_final_message().stop_reason == "end_turn"
    with messages.messages.stream(**asking(NAMED), max_tokens=64) as stream:
        assert REFUSED.startswith("".join(stream.text_stream).rstrip())
        assert stream.get_final_message().stop_reason == "refusal"
    assert messages.messages.create(**asking(TOLD), max_tokens=64).content[0].text == MASKED
    assert messages.messages.create(**asking(NAMED), max_tokens=64).stop_reason == "refusal"


def the_input_of_a_tool_is_masked_and_still_json():
    def called(value: str):
        tools = [{"name": "send", "input_schema": schema(value)}]
        asked = dict(model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "Send it."}])
        with messages.messages.stream(**asked, tools=tools) as stream:
            return stream.get_final_message()

    answer = called("eve@corp.example")
    assert answer.stop_reason == "tool_use" and answer.content[-1].input == {"to": "[personal]"}, answer
    assert called("osprey").stop_reason == "refusal"


def texts(triton, text: str, **how) -> list:
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([f"say: {text}".encode()], dtype=object), **how)
    return [tensor]


def output_of(result) -> str:
    return "".join(piece if isinstance(piece, str) else piece.decode() for piece in result.as_numpy("text_output"))


def tensors_are_masked_and_refused_over_http():
    for binary in (False, True):
        triton = tritonclient.http
        outputs = [triton.InferRequestedOutput("text_output", binary_data=binary)]
        infer = lambda text: over_http.infer(MODEL, texts(triton, text, binary_data=binary), outputs=outputs)
        assert output_of(infer(TOLD)) == MASKED
        for text in (NAMED, "a heron"):
            error = raises(InferenceServerException, lambda: infer(text))
            assert "guardrail" in error.message(), error


def tensors_are_masked_and_refused_over_grpc():
    infer = lambda text: over_grpc.infer(MODEL, texts(tritonclient.grpc, text), client_timeout=SOON)
    assert output_of(infer(TOLD)) == MASKED
    for text in (NAMED, "a heron"):
        error = raises(InferenceServerException, lambda: infer(text))
        assert "guardrail" in error.message(), error


def streamed(text: str) -> tuple[str, Exception | None]:
    """What a stream of tensors says to its end, and how it breaks off."""
    answers, said = queue.Queue(), ""
    over_grpc.start_stream(callback=lambda result, error: answers.put((result, error)), stream_timeout=SOON)
    over_grpc.async_stream_infer(MODEL, texts(tritonclient.grpc, text), enable_empty_final_response=True)
    try:
        while True:
            result, error = answers.get(timeout=SOON)
            if error is not None:
                return said, error
            if result.as_numpy("text_output") is not None:
                said += output_of(result)
            if result.get_response().parameters["triton_final_response"].bool_param:
                return said, None
    finally:
        over_grpc.stop_stream()


def a_stream_of_tensors_is_masked_and_broken_off():
    assert streamed(TOLD) == (MASKED, None)
    said, error = streamed(NAMED)
    assert REFUSED.startswith(said.rstrip()) and error.status() == "StatusCode.PERMISSION_DENIED", (said, error)
    said, error = streamed("a heron")
    assert said == "" and error is not None, said


check(
    a_chat_of_two_choices_is_masked_and_stops,
    a_chat_that_is_blocked_ends_as_filtered,
    whole_chats_are_masked_and_filtered,
    arguments_of_a_tool_are_masked_and_still_json,
    completions_are_masked_and_filtered,
    responses_are_masked_and_incomplete,
    a_prompt_that_is_refused_is_a_bad_request,
    messages_are_masked_and_refused,
    the_input_of_a_tool_is_masked_and_still_json,
    tensors_are_masked_and_refused_over_http,
    tensors_are_masked_and_refused_over_grpc,
    a_stream_of_tensors_is_masked_and_broken_off,
)
