"""What the recipes with big real things share: processes that are started and stopped, and a gateway before a server."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"

DOCUMENTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: portcullis
  listeners:
  - name: https
    protocol: HTTPS
    port: 443
    tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: edge}]}
---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {name: edge, namespace: default}
spec: {dnsNames: [localhost], issuer: {local: {}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: server}]}]
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: server, namespace: default}
spec:
  protocol: openai
  engine: ENGINE
  endpoints: [{address: 127.0.0.1, port: PORT}]
  transport: {plaintext: {}}
  timeouts: {firstByte: 120s, idle: 120s}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


@contextlib.contextmanager
def running(command: list, log: pathlib.Path, **more):
    """A process in a group of its own, its output in a file; nothing of the group is left behind."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **more)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(what: str, condition, process, log: pathlib.Path, seconds: float):
    """Waits until the condition gives something, and says what the process said if it does not."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, LookupError, ValueError):
            if found := condition():
                return found
        time.sleep(0.1)
    sys.exit(f"{what}: waited in vain; the end of {log}:\n{log.read_text(errors='replace')[-4000:]}")


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def gateway(engine: str, port: int):
    """The gateway before one server: gives its URL, its authority's file, and its admin address."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "config").mkdir()
        documents = DOCUMENTS.replace("ENGINE", engine).replace("PORT", str(port))
        (folder / "config" / "documents.yaml").write_text(documents)
        log, admin = folder / "log", free_port()
        command = [ROOT / "target/release/portcullis", "run", "--config", folder / "config", "--state", folder / "state"]
        command += ["--admin", f"127.0.0.1:{admin}", "--log-format", "json", "--bind", "default/edge:443=127.0.0.1:0"]
        with running(command, log) as process:

            def bound():
                return json.loads(page(f"http://127.0.0.1:{admin}/snapshot"))["listeners"][0]["bound"][0]

            address = wait_for("the gateway serves", bound, process, log, 30)
            url = f"https://localhost:{address.rsplit(':', 1)[1]}"
            yield url, folder / "state" / "authority" / "ca.pem", f"http://127.0.0.1:{admin}"


def python(environment: str, script: str, *arguments, **variables):
    """Runs a script with the Python of one of the environments below `.cache`, and ends where it fails."""
    command = [CACHE / environment / "bin/python", ROOT / script, *arguments]
    if status := subprocess.call(command, env=os.environ | variables):
        sys.exit(status)
