"""Hold manifests against the schemas of Kubernetes, and of custom kinds.

Runs in an environment that has kubernetes-validate, as `-m manifesting.validation
BUILT CRD...`: BUILT is a folder of what kustomizations have made, CRD a file of
CustomResourceDefinitions. Ends with 1 where a manifest is not valid.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import jsonschema
import kubernetes_validate
import yaml

from manifesting.documents import Manifest, read, read_folder
from manifesting.schemas import Schema, schemas

OLDEST: Final = "1.30"
"""The first version of Kubernetes that has all that we use, without a feature gate."""

_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_LONGEST: Final = 500

Schemas = Mapping[tuple[str, str], tuple[str, Schema]]


def read_definitions(files: list[str]) -> Schemas:
    """Read the schemas of custom kinds, each with the file that it is from.

    Raises:
        SystemExit: A file cannot be read, or holds no CustomResourceDefinition.
    """
    found: dict[tuple[str, str], tuple[str, Schema]] = {}
    for file in files:
        try:
            for each in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")):
                found |= {kind: (file, schema) for kind, schema in schemas(each)}
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise SystemExit(
                f"--crd {file}: expected CustomResourceDefinitions of "
                f"apiextensions.k8s.io/v1 in YAML: {type(error).__name__} {error}"
            ) from None
    return found


def problem(error: jsonschema.ValidationError) -> str:
    """Say where an object is wrong, and what was expected."""
    place = ".".join(map(str, error.path)) or "the object"
    return f"{place}: {error.message}"[:_LONGEST]


def is_built_in(api_version: str) -> bool:
    """Whether a kind of this version comes with Kubernetes itself."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def check(manifest: Manifest, versions: list[str], known: Schemas) -> bool:
    """Print what a manifest is held against, and return whether it is valid."""
    api_version, _ = manifest.kind
    try:
        if manifest.kind in known:
            against, schema = known[manifest.kind]
            jsonschema.Draft202012Validator(schema).validate(manifest.content)
        else:
            against = f"Kubernetes {' and '.join(versions)}"
            for version in versions:
                kubernetes_validate.validate(manifest.content, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        if is_built_in(api_version):
            print(f"FAILED  {manifest.label}: not every version has {api_version}")
            return False
        print(f"--      {manifest.label}: not checked, --crd has no {api_version}")
    except jsonschema.ValidationError as error:
        print(f"FAILED  {manifest.label}: {problem(error)}")
        return False
    else:
        print(f"ok      {manifest.label}: {against}")
    return True


def main() -> None:
    """Check all manifests of `deploy/`, and what was built."""
    built, *files = sys.argv[1:]
    versions = [OLDEST, kubernetes_validate.latest_version().rpartition(".")[0]]
    known = read_definitions(files)
    manifests = list(read_folder(_DEPLOY))
    for path in sorted(Path(built).iterdir()):
        manifests += read(f"built of {path.name}", path.read_text(encoding="utf-8"))
    results = [check(each, versions, known) for each in manifests]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
