"""Packages import one way only, and none knows more than it should."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = (ROOT / "models", ROOT / "service")
MODULES = {
    ".".join(path.relative_to(source).with_suffix("").parts): path
    for source in SOURCES
    for path in sorted(source.rglob("*.py"))
}

# What each package imports of the others: only from those below it. A new arrow is a
# decision; it belongs here, and in the docstring of the package.
ARROWS = {
    "": "app client",
    "__main__": "cli interrupts",
    "cli": "process diagnostics sockets http monitoring engine configuration "
    "interrupts sigmoid_models sigmoid_models.conversion sigmoid_models.training "
    "sigmoid_models.intake sigmoid_models.activation sigmoid_models.tables "
    "sigmoid_models.evaluation sigmoid_models.output repository",
    "process": "server sockets app http registry repository monitoring configuration "
    "errors interrupts sigmoid_models",
    "healthcheck": "diagnostics",
    "diagnostics": "sockets http registry repository monitoring engine configuration "
    "errors sigmoid_models",
    "ray": "app registry repository monitoring engine configuration errors "
    "sigmoid_models",
    "server": "sockets http inference monitoring engine admission configuration errors",
    "sockets": "configuration errors sigmoid_models sigmoid_models.files",
    "app": "lifespan http inference registry repository monitoring engine admission "
    "configuration",
    "lifespan": "http registry monitoring engine configuration sigmoid_models",
    "http": "inference registry repository monitoring engine admission configuration "
    "errors sigmoid_models sigmoid_models.files",
    "inference": "registry engine admission payload json configuration errors "
    "sigmoid_models",
    "registry": "repository monitoring engine configuration errors sigmoid_models "
    "sigmoid_models.intake sigmoid_models.gradients",
    "repository": "configuration errors sigmoid_models",
    "monitoring": "admission errors",
    "engine": "admission errors sigmoid_models",
    "admission": "errors",
    "payload": "json errors sigmoid_models",
    "json": "errors",
    "configuration": "errors sigmoid_models sigmoid_models.activation",
    "errors": "sigmoid_models",
    "interrupts": "",
    "client": "",
    "sigmoid_models.conversion": "sigmoid_models sigmoid_models.tables "
    "sigmoid_models.intake sigmoid_models.activation sigmoid_models.files",
    "sigmoid_models.training": "sigmoid_models sigmoid_models.tables "
    "sigmoid_models.evaluation",
    "sigmoid_models.evaluation": "sigmoid_models",
    "sigmoid_models.gradients": "sigmoid_models",
    "sigmoid_models.tables": "sigmoid_models sigmoid_models.output",
    "sigmoid_models": "sigmoid_models.intake sigmoid_models.activation "
    "sigmoid_models.files sigmoid_models.output",
    "sigmoid_models.intake": "sigmoid_models.activation sigmoid_models.files",
    "sigmoid_models.activation": "",
    "sigmoid_models.files": "",
    "sigmoid_models.output": "",
}
ORDER = list(ARROWS)

# A protocol reads and writes bytes of its own; nothing else of its package does.
PROTOCOLS = "sigmoid_serve.http.protocols."
OF_PROTOCOLS = {"payload", "json"}

# Packages that speak HTTP; what is below them knows no web framework.
WEB = {"fastapi", "starlette", "uvicorn", "httpx"}
SPEAK_HTTP = {
    *("", "cli", "process", "ray", "server", "app", "lifespan", "http", "client"),
}

MAX_MODULES = 15
MAX_LINES = 300
MAX_FUNCTION_LINES = 60

# PyTorch takes seconds to import: these are asked for before it is needed, or without.
NO_TORCH = {
    "sockets",
    "configuration",
    "admission",
    "payload",
    "json",
    "errors",
    "client",
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole module"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package(module: str) -> str | None:
    """Name the package, or the module beside the packages, that a module is of."""
    top, *rest = module.removesuffix(".__init__").split(".")
    if top == "sigmoid_serve":
        return rest[0] if rest else ""
    if top == "sigmoid_models":
        inner = {f"sigmoid_models.{part}" for part in rest[:1]} & ARROWS.keys()
        return inner.pop() if inner else top
    return None


def arrows(module: str) -> set[str]:
    """Name the packages that a module imports."""
    found = {other for name in imported(MODULES[module]) if (other := package(name))}
    return found - OF_PROTOCOLS if module.startswith(PROTOCOLS) else found


@pytest.mark.parametrize("module", MODULES)
def test_packages_import_only_from_those_below_them(module: str) -> None:
    here = package(module)
    assert here is not None
    assert arrows(module) - {here} <= set(ARROWS[here].split())


def test_every_arrow_points_down_and_is_there() -> None:
    found: dict[str, set[str]] = {}
    for module in MODULES:
        here = package(module)
        assert here is not None
        found[here] = found.get(here, set()) | (arrows(module) - {here})
    for here, targets in ARROWS.items():
        assert found.pop(here) == set(targets.split()), here
        for target in targets.split():
            assert ORDER.index(target) > ORDER.index(here) or not here, (here, target)
    assert not found


@pytest.mark.parametrize("module", MODULES)
def test_what_knows_the_web_and_pytorch(module: str) -> None:
    tops = {name.partition(".")[0] for name in imported(MODULES[module])}
    if package(module) not in SPEAK_HTTP:
        assert not tops & WEB
    if package(module) in NO_TORCH:
        assert "torch" not in tops


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_are_short(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, node.name


def test_packages_are_small() -> None:
    folders = [path.parent for path in MODULES.values()]
    for folder in set(folders):
        assert folders.count(folder) <= MAX_MODULES, folder
