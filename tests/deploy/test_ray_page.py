"""docs/ray.md says what the module, the manifests and the image have."""

import ast
import re
import shlex
from typing import Any

import yaml

from tests.deploy.objects import DOCKERFILE, PODS, ROOT
from tests.documentation.pages import PAGES, blocks

PAGE = "docs/ray.md"
TEXT = PAGES[PAGE]
BLOCKS = blocks(PAGE)
MODULE = ast.parse(
    (ROOT / "service" / "sigmoid_serve" / "ray.py").read_text(encoding="utf-8")
)


def options() -> dict[str, Any]:
    """Read the options of the deployment, as far as they are plain values."""
    [call] = [
        node
        for node in ast.walk(MODULE)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "serve.deployment"
    ]
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        inner = keyword.value.keywords if isinstance(keyword.value, ast.Call) else ()
        for each in inner or [keyword]:
            found[str(each.arg)] = ast.literal_eval(each.value)
    return found


def fields() -> set[str]:
    """Name what a user config may have."""
    [config] = [
        node
        for node in MODULE.body
        if isinstance(node, ast.ClassDef) and node.name == "UserConfig"
    ]
    return {
        each.target.id
        for each in config.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def test_the_user_config_is_that_of_the_module() -> None:
    table = TEXT.partition("| `user_config` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == fields()


def test_the_file_has_what_the_module_has() -> None:
    [block] = [block for block in BLOCKS if block.language == "yaml"]
    [application] = yaml.safe_load(block.text)["applications"]
    [deployment] = application["deployments"]
    assert application["import_path"] == "sigmoid_serve.ray:app"
    assert deployment["name"] == options()["name"]
    assert set(deployment["user_config"]) <= fields()
    assert set(deployment["autoscaling_config"]) <= options().keys()


def test_the_numbers_are_those_of_the_module() -> None:
    told = dict(re.findall(r"`(\w+)`\s+\(([\d,]+)\b", TEXT))
    assert len(told) == 3
    for name, number in told.items():
        assert int(number.replace(",", "")) == options()[name], name
    status, pause = options()["status_code"], options()["retry_after_s"]
    assert f"{status} with `Retry-After: {pause}`" in TEXT


def test_the_image_is_that_of_the_manifest() -> None:
    [command] = re.findall(r"^docker build .*", TEXT, re.MULTILINE)
    words = shlex.split(command)
    assert words[words.index("-t") + 1] == PODS["ray-worker"].container["image"]
    name, _, value = words[words.index("--build-arg") + 1].partition("=")
    assert f"ARG {name}=" in DOCKERFILE
    assert (ROOT / "scripts" / "requirements" / f"{value}.txt").exists()


def test_every_file_is_there() -> None:
    named = re.findall(r"(?<!tests/)\bdeploy/[\w./-]+\b", TEXT)
    assert {*named} >= {"deploy/ray/serve.yaml", "deploy/ray/rayservice.yaml"}
    assert all((ROOT / name).exists() for name in named)
