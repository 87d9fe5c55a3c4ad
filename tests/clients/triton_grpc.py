"""NVIDIA's own client for KServe v2 over gRPC, decoupled streams included."""

import os
import queue

import numpy as np
import tritonclient.grpc as triton
from facts import ADDRESS, check, raises
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(ADDRESS, ssl=True, root_certificates=os.environ["SSL_CERT_FILE"])
SOON = 60


def numbers(values: np.ndarray) -> list:
    tensor = triton.InferInput("numbers", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    return [tensor]


def below(limit: int) -> list:
    tensor = triton.InferInput("below", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.array([[limit]], dtype=np.int32))
    return [tensor]


def counted(limit: int) -> list[int]:
    """What the decoupled model streams, to its final answer."""
    answers, received = queue.Queue(), []
    client.start_stream(callback=lambda result, error: answers.put((result, error)), stream_timeout=SOON)
    client.async_stream_infer("count", below(limit), enable_empty_final_response=True)
    while True:
        result, error = answers.get(timeout=SOON)
        assert error is None, error
        if result.as_numpy("number") is not None:
            received.append(int(result.as_numpy("number").item()))
        if result.get_response().parameters["triton_final_response"].bool_param:
            break
    client.stop_stream()
    return received


def the_server_lives_and_is_ready():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and not client.is_model_ready("nothing")


def metadata_describes_server_and_model():
    assert client.get_server_metadata().name == "triton"
    assert client.get_model_metadata("echo").inputs[0].datatype == "FP32"
    assert client.get_model_config("count").config.model_transaction_policy.decoupled


def tensors_come_back():
    values = np.array([[1.5, -2.0, 3.25]], dtype=np.float32)
    assert np.array_equal(client.infer("echo", numbers(values), client_timeout=SOON).as_numpy("numbers"), values)


def sixteen_megabytes_pass_both_ways():
    values = np.random.default_rng(1).random((1, 4 << 20), dtype=np.float32)
    assert np.array_equal(client.infer("echo", numbers(values), client_timeout=SOON).as_numpy("numbers"), values)


def messages_may_be_compressed():
    values = np.zeros((1, 1000), dtype=np.float32)
    answer = client.infer("echo", numbers(values), compression_algorithm="gzip", client_timeout=SOON)
    assert np.array_equal(answer.as_numpy("numbers"), values)


def a_decoupled_model_streams_any_number_of_answers():
    for limit in (0, 1, 50):
        assert counted(limit) == list(range(limit)), limit


def calls_go_side_by_side():
    answers = queue.Queue()
    for number in range(40):
        values = np.full((1, 4), number, dtype=np.float32)
        callback = lambda result, error, values=values: answers.put((result, error, values))
        client.async_infer("echo", numbers(values), callback, client_timeout=SOON)
    for _ in range(40):
        result, error, values = answers.get(timeout=SOON)
        assert error is None and np.array_equal(result.as_numpy("numbers"), values), error


def an_unknown_model_is_the_servers_to_refuse():
    values = np.ones((1, 1), dtype=np.float32)
    error = raises(InferenceServerException, lambda: client.infer("nothing", numbers(values), client_timeout=SOON))
    assert error.status() == "StatusCode.NOT_FOUND" and "unknown model: 'nothing'" in error.message(), error


def a_model_that_fails_says_why():
    values = np.array([[np.nan]], dtype=np.float32)
    error = raises(InferenceServerException, lambda: client.infer("echo", numbers(values), client_timeout=SOON))
    assert "not a number" in error.message(), error


check(
    the_server_lives_and_is_ready,
    metadata_describes_server_and_model,
    tensors_come_back,
    sixteen_megabytes_pass_both_ways,
    messages_may_be_compressed,
    a_decoupled_model_streams_any_number_of_answers,
    calls_go_side_by_side,
    an_unknown_model_is_the_servers_to_refuse,
    a_model_that_fails_says_why,
)
