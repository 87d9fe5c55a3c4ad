"""A NeMo Guardrails server with the configurations of `nemo/`, none of which needs a model."""

import pathlib
import threading
import time

import life
import uvicorn
from nemoguardrails.server import api

api.app.rails_config_path = str(pathlib.Path(__file__).parent / "nemo")
api.app.disable_chat_ui = True
server = uvicorn.Server(uvicorn.Config(api.app, host="127.0.0.1", port=0, log_level="warning"))


def stop():
    server.should_exit = True
    serving.join()


serving = threading.Thread(target=server.run, daemon=True)
serving.start()
while not server.started and serving.is_alive():
    time.sleep(0.01)
# Without a server that listens there is nothing to announce, and the test says so with this log.
life.serve_until_the_test_ends(stop, http=server.servers[0].sockets[0].getsockname()[1])
