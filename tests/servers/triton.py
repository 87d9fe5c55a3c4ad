"""NVIDIA Triton (the one inside `nvidia-pytriton`) with small models: KServe v2 over HTTP and gRPC.

`echo` gives back the numbers it is sent and fails at one that is none, `shout` turns text into capitals, and `count`
streams the numbers below its input (decoupled).
"""

import socket

import life
import numpy as np
from pytriton.decorators import batch
from pytriton.exceptions import PyTritonRuntimeError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; Triton cannot tell which it chose, and whoever starts it tries again."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


@batch
def echo(numbers):
    if np.isnan(numbers).any():
        raise PyTritonRuntimeError("not a number")
    return {"numbers": numbers}


@batch
def shout(text):
    return {"text": np.char.upper(np.char.decode(text.astype("bytes"), "utf-8"))}


@batch
def count(below):
    for number in range(int(below[0, 0])):
        yield {"number": np.array([[number]], dtype=np.int32)}


http, grpc, metrics = free_ports(3)
here = "127.0.0.1"
triton = Triton(
    config=TritonConfig(
        http_port=http, grpc_port=grpc, metrics_port=metrics, http_address=here, grpc_address=here, log_verbose=0
    )
)
floats = Tensor(name="numbers", dtype=np.float32, shape=(-1,))
texts = Tensor(name="text", dtype=np.bytes_, shape=(1,))
integer = np.int32
triton.bind("echo", echo, inputs=[floats], outputs=[floats])
triton.bind("shout", shout, inputs=[texts], outputs=[texts])
triton.bind(
    "count",
    count,
    inputs=[Tensor(name="below", dtype=integer, shape=(1,))],
    outputs=[Tensor(name="number", dtype=integer, shape=(1,))],
    config=ModelConfig(decoupled=True),
)
triton.run()
# A Triton that is not stopped leaves its shared memory and folders behind.
life.serve_until_the_test_ends(stop=triton.stop, http=http, grpc=grpc, metrics=metrics)
