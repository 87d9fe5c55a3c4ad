"""The `grpcio` library's client where callers have to be known: credentials in metadata, refusals as statuses."""

import os

import grpc
from facts import ADDRESS, check, raises

channel = grpc.insecure_channel(ADDRESS)
once = channel.unary_unary("/echo.Echo/Once")
each = channel.stream_stream("/echo.Echo/Each")
infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
load = channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")
SOON = 30

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED


def shown(key: str):
    return [("authorization", f"Bearer {key}")]


ALICE, BOB, CAROL = (shown(os.environ[name]) for name in ("ALICE", "BOB", "CAROL"))
NOBODY = {
    "nothing": None,
    "another's": shown("pcl_aaaaaaaaaaaa_x"),
    "a cut one": shown(os.environ["BOB"][:-1]),
    "no scheme": [("authorization", os.environ["BOB"])],
    "in binary metadata": [("authorization-bin", os.environ["BOB"].encode())],
}


def field(number: int, text: str) -> bytes:
    return bytes([number << 3 | 2, len(text)]) + text.encode()


def refusal(call, kind=grpc._channel._InactiveRpcError):
    error = raises(kind, call)
    return error.code(), error.details()


def whoever_is_known_and_may_is_answered():
    answer, call = once.with_call(b"hello", metadata=BOB, timeout=SOON)
    assert answer == b"pong"
    assert b"pcl_" not in repr(call.initial_metadata()).encode(), call.initial_metadata()
    assert list(each(iter([b"a", b"b"]), metadata=BOB, timeout=SOON)) == [b"pong"]


def whoever_is_not_known_is_unauthenticated():
    told = set()
    for what, metadata in NOBODY.items():
        code, details = refusal(lambda: once(b"hello", metadata=metadata, timeout=SOON))
        assert code == UNAUTHENTICATED, (what, code, details)
        told.add(details)
        code, _ = refusal(lambda: infer(field(1, "small-1"), metadata=metadata, timeout=SOON))
        assert code == UNAUTHENTICATED, (what, code)
    assert len(told) == 1, f"the reason is nobody's business: {told}"


def two_credentials_are_an_invalid_argument():
    code, _ = refusal(lambda: once(b"hello", metadata=BOB + CAROL, timeout=SOON))
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL), code


def a_stream_of_a_stranger_ends_before_it_is_read():
    code, _ = refusal(lambda: list(each(iter([b"a"] * 100), timeout=SOON)), grpc._channel._MultiThreadedRendezvous)
    assert code == UNAUTHENTICATED, code


def whoever_is_known_and_may_not_is_denied():
    for metadata in (ALICE, CAROL):
        code, details = refusal(lambda: once(b"hello", metadata=metadata, timeout=SOON))
        assert code == PERMISSION_DENIED, (code, details)
    code, _ = refusal(lambda: list(each(iter([b"a"]), metadata=CAROL, timeout=SOON)), grpc._channel._MultiThreadedRendezvous)
    assert code == PERMISSION_DENIED, code


def the_model_in_the_message_decides():
    assert infer(field(1, "small-1"), metadata=ALICE, timeout=SOON) == b"pong"
    assert infer(field(1, "large"), metadata=BOB, timeout=SOON) == b"pong"
    # Bytes that belong to another field name nothing.
    assert infer(field(3, "large") + field(1, "small-1"), metadata=ALICE, timeout=SOON) == b"pong"
    for what, message, expected in (
        ("another model", field(1, "large"), PERMISSION_DENIED),
        ("no model", field(3, "id"), PERMISSION_DENIED),
        ("two models", field(1, "small-1") + field(1, "large"), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        code, details = refusal(lambda: infer(message, metadata=ALICE, timeout=SOON))
        assert code == expected, (what, code, details)


def loading_a_model_is_no_inference():
    message = field(1, "repository") + field(2, "small-1")
    code, _ = refusal(lambda: load(message, metadata=ALICE, timeout=SOON))
    assert code == PERMISSION_DENIED, code


check(
    whoever_is_known_and_may_is_answered,
    whoever_is_not_known_is_unauthenticated,
    two_credentials_are_an_invalid_argument,
    a_stream_of_a_stranger_ends_before_it_is_read,
    whoever_is_known_and_may_not_is_denied,
    the_model_in_the_message_decides,
    loading_a_model_is_no_inference,
)
