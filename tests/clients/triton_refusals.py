"""NVIDIA's own clients for KServe v2 where the gateway chooses by model, and refuses.

`echo` has a route, `down` has one to a backend that is not there, and nothing else has one.
"""

import os

import gevent.ssl
import numpy as np
import tritonclient.grpc
import tritonclient.http
from facts import ADDRESS, check, raises
from tritonclient.utils import InferenceServerException

http = tritonclient.http.InferenceServerClient(
    ADDRESS, ssl=True, ssl_context_factory=gevent.ssl.create_default_context, network_timeout=60
)
grpc = tritonclient.grpc.InferenceServerClient(ADDRESS, ssl=True, root_certificates=os.environ["SSL_CERT_FILE"])
VALUES = np.array([[1.5, -2.0, 3.25]], dtype=np.float32)


def infer(client, model: str):
    library = tritonclient.http if client is http else tritonclient.grpc
    tensor = library.InferInput("numbers", list(VALUES.shape), "FP32")
    tensor.set_data_from_numpy(VALUES)
    return client.infer(model, [tensor])


def refused(client, model: str):
    return raises(InferenceServerException, lambda: infer(client, model))


def the_model_in_a_path_chooses():
    assert np.array_equal(infer(http, "echo").as_numpy("numbers"), VALUES)
    assert http.get_model_metadata("echo")["name"] == "echo"


def the_model_in_a_message_chooses():
    assert np.array_equal(infer(grpc, "echo").as_numpy("numbers"), VALUES)
    assert grpc.get_model_metadata("echo").name == "echo"


def a_model_without_a_route_is_refused_in_the_clients_words():
    error = refused(http, "shout")
    assert (error.status(), error.message()) == ("404", "no route matches this request"), error
    error = refused(grpc, "shout")
    assert error.status() == "StatusCode.UNIMPLEMENTED", error
    assert error.message() == "no route matches this request", error


def a_backend_that_is_down_is_unavailable():
    error = refused(http, "down")
    assert (error.status(), error.message()) == ("503", "the backend cannot be reached"), error
    error = refused(grpc, "down")
    assert error.status() == "StatusCode.UNAVAILABLE", error
    assert error.message() == "the backend cannot be reached", error


check(
    the_model_in_a_path_chooses,
    the_model_in_a_message_chooses,
    a_model_without_a_route_is_refused_in_the_clients_words,
    a_backend_that_is_down_is_unavailable,
)
