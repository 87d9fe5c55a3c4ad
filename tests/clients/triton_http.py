"""NVIDIA's own client for KServe v2 over HTTP, binary tensors included."""

import gevent.ssl
import numpy as np
import tritonclient.http as triton
from facts import ADDRESS, check, raises
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(
    ADDRESS, ssl=True, ssl_context_factory=gevent.ssl.create_default_context, concurrency=8, network_timeout=60
)


def numbers(values: np.ndarray, binary: bool) -> list:
    tensor = triton.InferInput("numbers", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return [tensor]


def echoed(values: np.ndarray, binary: bool = True) -> np.ndarray:
    outputs = [triton.InferRequestedOutput("numbers", binary_data=binary)]
    return client.infer("echo", numbers(values, binary), outputs=outputs).as_numpy("numbers")


def the_server_lives_and_is_ready():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and not client.is_model_ready("nothing")


def metadata_describes_server_and_model():
    assert client.get_server_metadata()["name"] == "triton"
    assert client.get_model_metadata("echo")["inputs"][0]["datatype"] == "FP32"
    assert client.get_model_config("count")["model_transaction_policy"]["decoupled"] is True


def tensors_come_back_as_json_and_as_bytes():
    values = np.array([[1.5, -2.0, 3.25]], dtype=np.float32)
    for binary in (False, True):
        assert np.array_equal(echoed(values, binary), values), binary


def texts_are_tensors_too():
    tensor = triton.InferInput("text", [2, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([["grün"], ["blau"]], dtype=object))
    answer = client.infer("shout", [tensor]).as_numpy("text")
    assert [text.decode() for text in answer.ravel()] == ["GRÜN", "BLAU"], answer


def sixteen_megabytes_pass_both_ways():
    values = np.random.default_rng(1).random((1, 4 << 20), dtype=np.float32)
    assert np.array_equal(echoed(values), values)


def bodies_may_be_compressed():
    values = np.zeros((1, 1000), dtype=np.float32)
    answer = client.infer(
        "echo", numbers(values, True), request_compression_algorithm="gzip", response_compression_algorithm="gzip"
    )
    assert np.array_equal(answer.as_numpy("numbers"), values)


def requests_go_side_by_side():
    asked = [np.full((1, 4), number, dtype=np.float32) for number in range(40)]
    pending = [client.async_infer("echo", numbers(values, True)) for values in asked]
    for values, answer in zip(asked, pending):
        assert np.array_equal(answer.get_result().as_numpy("numbers"), values), values


def an_unknown_model_is_the_servers_to_refuse():
    error = raises(InferenceServerException, lambda: client.infer("nothing", numbers(np.ones((1, 1), np.float32), True)))
    assert "unknown model: 'nothing'" in error.message(), error


def a_model_that_fails_says_why():
    error = raises(InferenceServerException, lambda: echoed(np.array([[np.nan]], dtype=np.float32)))
    assert "not a number" in error.message(), error


check(
    the_server_lives_and_is_ready,
    metadata_describes_server_and_model,
    tensors_come_back_as_json_and_as_bytes,
    texts_are_tensors_too,
    sixteen_megabytes_pass_both_ways,
    bodies_may_be_compressed,
    requests_go_side_by_side,
    an_unknown_model_is_the_servers_to_refuse,
    a_model_that_fails_says_why,
)
