"""A gRPC server of the `grpcio` library, with reflection and health: it needs no generated code, bytes are bytes."""

from concurrent import futures

import grpc
import life
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection

# Describes itself as `echo.Echo` with one message type, so that reflection has something to tell.
string = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
file = descriptor_pb2.FileDescriptorProto(name="echo.proto", package="echo", syntax="proto3")
message = file.message_type.add(name="Text")
message.field.add(name="text", number=1, type=string, label=optional)
service = file.service.add(name="Echo")
for method, up, down in [("Once", False, False), ("Repeat", False, True), ("Join", True, False), ("Each", True, True)]:
    service.method.add(
        name=method, input_type=".echo.Text", output_type=".echo.Text", client_streaming=up, server_streaming=down
    )
descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def once(request, context):
    if request == b"fail":
        context.set_trailing_metadata([("reason", "asked"), ("detail-bin", b"\x00\xff")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100 % as asked: é")
    context.send_initial_metadata([("seen-caller", dict(context.invocation_metadata()).get("caller", ""))])
    context.set_trailing_metadata([("length", str(len(request)))])
    return request


def repeat(request, context):
    for _ in range(100):
        yield request
    if request == b"fail":
        context.abort(grpc.StatusCode.DATA_LOSS, "after a hundred")


def join(requests, context):
    return b"".join(requests)


def each(requests, context):
    for request in requests:
        yield request


server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
methods = {
    "Once": grpc.unary_unary_rpc_method_handler(once),
    "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Each": grpc.stream_stream_rpc_method_handler(each),
}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", methods)])
reflection.enable_server_reflection(["echo.Echo", reflection.SERVICE_NAME], server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
life.serve_until_the_test_ends(grpc=port)
