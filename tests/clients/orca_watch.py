"""The `grpcio` library's client asks for load reports out of band, as gRPC's own balancers do (gRFC A51).

Talks with the test that started it: it says what it waits for on stdout, and reads from stdin when to go on.
"""

import os
import sys
import time

import grpc
from facts import check
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

DOUBLE, UINT64, MESSAGE, STRING = 1, 4, 11, 9
WATCHERS_MAX = 64
SOON = 30


def messages():
    """`OrcaLoadReport` and `OrcaLoadReportRequest`, as github.com/cncf/xds defines them."""
    file = descriptor_pb2.FileDescriptorProto(name="orca.proto", package="xds.data.orca.v3", syntax="proto3")
    file.dependency.append("google/protobuf/duration.proto")
    report = file.message_type.add(name="OrcaLoadReport")
    for name, number, kind in [
        ("cpu_utilization", 1, DOUBLE),
        ("mem_utilization", 2, DOUBLE),
        ("rps", 3, UINT64),
        ("rps_fractional", 6, DOUBLE),
        ("eps", 7, DOUBLE),
        ("application_utilization", 9, DOUBLE),
    ]:
        report.field.add(name=name, number=number, type=kind, label=1)
    for name, number, entry in [
        ("request_cost", 4, "RequestCostEntry"),
        ("utilization", 5, "UtilizationEntry"),
        ("named_metrics", 8, "NamedMetricsEntry"),
    ]:
        nested = report.nested_type.add(name=entry)
        nested.options.map_entry = True
        nested.field.add(name="key", number=1, type=STRING, label=1)
        nested.field.add(name="value", number=2, type=DOUBLE, label=1)
        full = f".xds.data.orca.v3.OrcaLoadReport.{entry}"
        report.field.add(name=name, number=number, type=MESSAGE, label=3, type_name=full)
    request = file.message_type.add(name="OrcaLoadReportRequest")
    duration = ".google.protobuf.Duration"
    request.field.add(name="report_interval", number=1, type=MESSAGE, label=1, type_name=duration)
    request.field.add(name="request_cost_names", number=2, type=STRING, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    named = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"xds.data.orca.v3.{name}"))
    return named("OrcaLoadReport"), named("OrcaLoadReportRequest")


Report, Request = messages()
channel = grpc.insecure_channel(os.environ["PORTCULLIS_ADDRESS"])
watch = channel.unary_stream(
    "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
    request_serializer=Request.SerializeToString,
    response_deserializer=Report.FromString,
)


def every(seconds):
    request = Request(request_cost_names=["cost"])
    request.report_interval.seconds = seconds
    return watch(request, timeout=SOON)


def every_millisecond():
    request = Request()
    request.report_interval.nanos = 1_000_000
    return request


def say(word):
    print(word, flush=True)
    assert sys.stdin.readline(), "the test has gone"


def the_first_report_comes_at_once_and_says_all():
    begun = time.monotonic()
    stream = every(30)
    report = next(stream)
    assert time.monotonic() - begun < 15
    assert report.application_utilization == 0.75 and report.rps_fractional == 12.5, report
    assert dict(report.named_metrics) == {"num_requests_waiting": 3.0}, report
    assert dict(report.utilization) == {"kv_cache": 0.5}, report
    stream.cancel()


def reports_come_no_more_often_than_each_tenth_of_a_second():
    for request in (Request(), every_millisecond()):
        begun = time.monotonic()
        stream = watch(request, timeout=SOON)
        for _ in range(6):
            next(stream)
        assert time.monotonic() - begun >= 0.45, time.monotonic() - begun
        stream.cancel()


def one_watcher_too_many_is_told_so():
    say("open")
    streams = [every(30) for _ in range(WATCHERS_MAX)]
    for stream in streams:
        next(stream)
    try:
        next(every(30))
        raise AssertionError("there was room for more")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    for stream in streams:
        stream.cancel()
    say("closed")


def another_method_is_not_implemented():
    other = channel.unary_unary("/xds.service.orca.v3.OpenRcaService/Other")
    try:
        other(b"", timeout=SOON)
        raise AssertionError("there is no such method")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def draining_is_told_before_the_stream_ends_with_a_status():
    stream = every(30)
    assert "draining" not in next(stream).named_metrics
    say("drain")
    assert next(stream).named_metrics["draining"] == 1.0
    say("stop")
    try:
        next(stream)
        raise AssertionError("the stream did not end")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        assert error.details() == "the server is stopping", error


check(
    the_first_report_comes_at_once_and_says_all,
    reports_come_no_more_often_than_each_tenth_of_a_second,
    one_watcher_too_many_is_told_so,
    another_method_is_not_implemented,
    draining_is_told_before_the_stream_ends_with_a_status,
)
