"""What all sections have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from lambda_replay.scenario.setting import Setting
from lambda_replay.scenario.takes import Takes

__all__ = ["Section", "about", "fields_of", "takes_of"]


class Section(BaseModel):
    """A table; None means "not given", since a null in the input never gets here."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def about(text: str, setting: Setting[object] | None = None, by_era: str = "") -> str:
    """Describe a key: what it is, its rule, its default, and whether AWS documents that."""
    if setting is None:
        return f"{text} {by_era}".strip()
    value = setting.value
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
    if isinstance(value, tuple):
        shown = f"[{', '.join(map(str, value))}]"
    known = "" if setting.documented or setting.rule == "-" else ", not documented by AWS"
    rule = "" if setting.rule == "-" else f" ({setting.rule}{known})"
    return f"{text} Default {shown}{rule}."


def fields_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give the fields of a section by the names they have in a scenario."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def takes_of(field: FieldInfo) -> Takes | None:
    """Give what a field takes; None for plain tables and arrays."""
    return next((one for one in field.metadata if isinstance(one, Takes)), None)
