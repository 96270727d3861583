"""The names and types of all fields that Argo's full CRDs know, as one small table.

``python tests/argo_corpus/field_tree.py SCHEMAS`` writes ``fireworks/workflow/argo/validator/fields.json``. SCHEMAS is
the folder of the full CRDs (``make cluster-up`` caches it). The cluster suite compares the file with the CRDs.

Comes in: CustomResourceDefinitions. Goes out: the table that `fireworks.workflow.argo.validator.fields` walks.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).parents[2] / "fireworks" / "workflow" / "argo" / "validator" / "fields.json"
VERSION = "3.7.18"


class Table:
    """Equal nodes are stored once; a node refers to others by number."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._numbers: dict[str, int] = {}

    def add(self, node: Any) -> int:
        key = json.dumps(node, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[key]

    def schema(self, schema: dict[str, Any], name: str = "") -> int:
        """Add a schema and what it contains; what the CRD leaves open is closed where Argo's own types are known."""
        if name == "inline":
            return self.add("template")
        if name == "withItems":
            return self.add({"of": self.add("any")})
        if schema.get("x-kubernetes-int-or-string"):
            return self.add({"pattern": schema["pattern"]} if "pattern" in schema else "int-or-string")
        kind = schema.get("type", "any")
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            node: dict[str, Any] = {"of": self.schema(schema["items"])}
            if schema.get("x-kubernetes-list-type") == "map":
                node["keys"] = schema["x-kubernetes-list-map-keys"]
            return self.add(node)
        if "enum" in schema:
            return self.add({"enum": schema["enum"]})
        if kind == "integer":
            return self.add(schema.get("format", "int64"))
        return self.add(schema.get("format", kind))

    def _object(self, schema: dict[str, Any]) -> int:
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return self.add("open")
        if "additionalProperties" in schema:
            return self.add({"map": self.schema(schema["additionalProperties"])})
        properties = schema.get("properties", {})
        node: dict[str, Any] = {"fields": {name: self.schema(value, name) for name, value in properties.items()}}
        if "required" in schema:
            node["required"] = sorted(schema["required"])
        defaults = {name: value["default"] for name, value in sorted(properties.items()) if "default" in value}
        if defaults:
            node["defaults"] = defaults
        return self.add(node)


def field_tree(schemas: Path) -> str:
    """The table as canonical JSON."""
    table = Table()
    spec = _spec(schemas, "workflowtemplates")
    roots = {"template": table.schema(spec["properties"]["templates"]["items"]), "workflow": table.schema(spec)}
    roots["cron"] = table.schema(_spec(schemas, "cronworkflows"))
    document = {"argo": VERSION, "roots": roots, "nodes": table.nodes}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).replace('},{"', '},\n{"') + "\n"


def _spec(schemas: Path, plural: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (schemas / f"argoproj.io_{plural}.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, Loader=loader)
    (version,) = definition["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


if __name__ == "__main__":
    TARGET.write_text(field_tree(Path(sys.argv[1])), encoding="utf-8")
