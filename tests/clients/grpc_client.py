"""The `grpcio` library's client: reflection, all four kinds of calls, statuses, metadata and trailers."""

import os
import threading

import grpc
from facts import ADDRESS, check, raises
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

unlimited = [("grpc.max_receive_message_length", -1)]
channel = grpc.secure_channel(ADDRESS, grpc.ssl_channel_credentials(), options=unlimited)
once = channel.unary_unary("/echo.Echo/Once")
repeat = channel.unary_stream("/echo.Echo/Repeat")
join = channel.stream_unary("/echo.Echo/Join")
each = channel.stream_stream("/echo.Echo/Each")
SOON = 30


def status_of(call):
    error = raises(grpc._channel._InactiveRpcError, call)
    return error.code(), error.details(), error.trailing_metadata()


def reflection_tells_services_and_their_methods():
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "echo.Echo" in database.get_services()
    service = DescriptorPool(database).FindServiceByName("echo.Echo")
    assert [method.name for method in service.methods] == ["Once", "Repeat", "Join", "Each"]


def a_call_has_metadata_before_and_after():
    answer, call = once.with_call(b"hello", metadata=[("caller", "me")], timeout=SOON)
    assert answer == b"hello"
    assert ("seen-caller", "me") in call.initial_metadata(), call.initial_metadata()
    assert ("length", "5") in call.trailing_metadata(), call.trailing_metadata()
    assert once(b"", timeout=SOON) == b""


def messages_of_megabytes_pass():
    for size in (1_000_000, 4_000_000):
        message = os.urandom(size)
        assert once(message, timeout=SOON) == message


def a_failed_call_keeps_its_status_words_and_trailers():
    code, details, trailers = status_of(lambda: once(b"fail", timeout=SOON))
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, "100 % as asked: é"), (code, details)
    assert ("reason", "asked") in trailers and ("detail-bin", b"\x00\xff") in trailers, trailers


def an_unknown_method_is_the_servers_to_refuse():
    code, _, _ = status_of(lambda: channel.unary_unary("/echo.Echo/Nothing")(b"", timeout=SOON))
    assert code == grpc.StatusCode.UNIMPLEMENTED, code


def a_stream_comes_whole():
    assert list(repeat(b"x", timeout=SOON)) == [b"x"] * 100


def a_stream_that_fails_late_says_so_after_all_that_came():
    received = []

    def read():
        for answer in repeat(b"fail", timeout=SOON):
            received.append(answer)

    error = raises(grpc._channel._MultiThreadedRendezvous, read)
    assert received == [b"fail"] * 100, len(received)
    assert error.code() == grpc.StatusCode.DATA_LOSS and error.details() == "after a hundred", error


def a_stream_goes_up():
    assert join(iter([b"a", b"b"] * 500), timeout=SOON) == b"ab" * 500
    assert join(iter([]), timeout=SOON) == b""


def both_directions_go_on_at_the_same_time():
    answered = threading.Semaphore(0)

    def requests():
        for number in range(50):
            yield str(number).encode()
            # The next one goes only after the answer to this one came.
            assert answered.acquire(timeout=SOON)

    received = []
    for answer in each(requests(), timeout=SOON):
        received.append(int(answer))
        answered.release()
    assert received == list(range(50)), received


def a_deadline_ends_a_call():
    def wait():
        held = threading.Event()
        for _ in each(iter(lambda: held.wait(60) and b"", None), timeout=0.2):
            pass

    error = raises(grpc._channel._MultiThreadedRendezvous, wait)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def many_calls_share_a_connection():
    calls = [once.future(str(number).encode(), timeout=SOON) for number in range(200)]
    assert [int(call.result()) for call in calls] == list(range(200))


check(
    reflection_tells_services_and_their_methods,
    a_call_has_metadata_before_and_after,
    messages_of_megabytes_pass,
    a_failed_call_keeps_its_status_words_and_trailers,
    an_unknown_method_is_the_servers_to_refuse,
    a_stream_comes_whole,
    a_stream_that_fails_late_says_so_after_all_that_came,
    a_stream_goes_up,
    both_directions_go_on_at_the_same_time,
    a_deadline_ends_a_call,
    many_calls_share_a_connection,
)
