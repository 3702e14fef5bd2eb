"""Runs a Ray of its own on this machine, and does what it is told.

Runs in the environment of Ray, as `driver.py PORT FOLDER CPUS`. Reads a line of JSON
for each order, `{"deploy": CONFIG}` or `{}`, and answers with one: what Ray says of all
applications. CONFIG is what `serve deploy` takes. Ends when its input does.
"""

import json
import os
import sys
from typing import TextIO

# Before Ray is imported: nothing is sent to anyone.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema


def main(port: int, folder: str, cpus: int, answers: TextIO) -> None:
    """Start Ray, with its proxy on 127.0.0.1, and obey."""
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=folder,
        object_store_memory=2**27,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    client = _get_global_client()
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "deploy" in order:
            client.deploy_apps(ServeDeploySchema.model_validate(order["deploy"]))
        details = client.get_serve_details()
        print(
            json.dumps(details["applications"], default=str), file=answers, flush=True
        )
    ray.shutdown()


if __name__ == "__main__":
    # What Ray prints is no answer.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), answers)
