"""docs/predict.md is true: all options, and the members of inspect's document."""

import json
import re
from inspect import signature

from sigmoid_serve.cli.prediction import predict
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli.here import done
from tests.documentation.pages import PAGES

TEXT = PAGES["docs/predict.md"]


def test_every_option_is_listed() -> None:
    rows = "\n".join(line for line in TEXT.splitlines() if line.startswith("| `--"))
    listed = set(re.findall(r"`--(\w+)", rows))
    assert listed - {"no"} == signature(predict).parameters.keys() - {
        "checkpoint",
        "data",
    }


def test_every_member_is_listed() -> None:
    section = TEXT.partition("## Inspect, for programs\n")[2]
    path = PRETRAINED / "breast-cancer/1/model.safetensors"
    document = json.loads(done("inspect", path, "--json"))
    assert {*document, *document["golden_rows"]} <= set(re.findall(r"`(\w+)`", section))
