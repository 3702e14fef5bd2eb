"""Definitions of custom kinds, as schemas that refuse what they do not name."""

import yaml

from manifesting.documents import read
from manifesting.schemas import closed, schemas

DEFINITION = """
spec:
  group: fruit.example
  names: {kind: Apple}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}]}
                count: {type: integer, nullable: true}
                labels: {type: object, additionalProperties: {type: string}}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                parts: {type: array, items: {type: object, properties: {a: {}}}}
"""


def test_a_definition_becomes_a_schema_that_is_closed() -> None:
    [(kind, schema)] = schemas(yaml.safe_load(DEFINITION))
    assert kind == ("fruit.example/v1", "Apple")
    assert {*schema["properties"]} == {"apiVersion", "kind", "metadata", "spec"}
    spec = schema["properties"]["spec"]
    fields = spec["properties"]
    assert (schema["additionalProperties"], spec["additionalProperties"]) == (0, 0)
    assert fields["port"]["type"] == ["integer", "string"]
    assert fields["count"]["type"] == ["integer", "null"]
    assert fields["labels"]["additionalProperties"] == {"type": "string"}
    assert "additionalProperties" not in fields["free"]
    assert fields["parts"]["items"]["additionalProperties"] is False


def test_what_keeps_unknown_fields_stays_open() -> None:
    kept = {"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True}
    assert "additionalProperties" not in closed(kept)


def test_settings_and_kustomizations_are_no_objects() -> None:
    text = "a: 1\n---\n- op: add\n---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}"
    [found] = read("pod.yaml", text)
    assert (found.kind, found.label) == (("v1", "Pod"), "pod.yaml  Pod a")
    assert read("k.yaml", "{apiVersion: v1, kind: Kustomization, metadata: {}}") == []
