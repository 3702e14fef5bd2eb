"""Schemas of custom kinds, as JSON Schema that refuses what a server would drop."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from manifesting.documents import Object

Schema: TypeAlias = dict[str, Any]


def schemas(definition: Object) -> Iterator[tuple[tuple[str, str], Schema]]:
    """List the kinds of a CustomResourceDefinition, each with its schema.

    Yields:
        `apiVersion` and `kind`, and a schema for them.

    Raises:
        KeyError: It is no CustomResourceDefinition of `apiextensions.k8s.io/v1`.
    """
    spec = definition["spec"]
    for version in spec["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        # Every object has these, and each has its own metadata.
        schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


def closed(schema: Schema) -> Schema:
    """Translate a structural schema, and forbid fields that it does not name.

    Kubernetes drops unknown fields but where the schema says to keep them. Rules in CEL
    (`x-kubernetes-validations`) are not translated.
    """
    made = dict(schema)
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["type"] = ["integer", "string"]
    if "properties" in made:
        made["properties"] = {
            name: closed(each) for name, each in made["properties"].items()
        }
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(made["additionalProperties"])
    if "items" in made:
        made["items"] = closed(made["items"])
    if made.pop("nullable", False) and "type" in made:
        named = made["type"]
        made["type"] = [*([named] if isinstance(named, str) else named), "null"]
    return made
