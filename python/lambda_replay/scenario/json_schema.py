"""The JSON Schema of scenarios, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from lambda_replay.scenario.models import ScenarioModel

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of a scenario; TOML's dates and times are text to it."""
    schema = ScenarioModel.model_json_schema(by_alias=True, mode="validation")
    tidy: dict[str, Any] = _tidy(schema)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Scenario of lambda-replay",
        **tidy,
    }


def _tidy(node: Any) -> Any:
    """Take out what says nothing: nulls, which TOML has not, and titles made of names."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node:
        node = {**node, "anyOf": [one for one in node["anyOf"] if one != {"type": "null"}]}
        if len(node["anyOf"]) == 1:
            node = {**node["anyOf"][0], **{k: v for k, v in node.items() if k != "anyOf"}}
    tidy = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            tidy[key] = {name: _tidy(one) for name, one in value.items()}
        elif key == "title" or (key == "default" and not value):
            continue
        elif key == "description":
            tidy[key] = value.replace("``", "").replace("\n", " ")
        else:
            tidy[key] = _tidy(value)
    return tidy
