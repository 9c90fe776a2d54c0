"""What the embedded engine can be told in a pipeline's ``connector:`` section, and what an index remembers of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from rebridge.errors import ConnectorError

FieldType = Literal["text", "keyword", "integer", "float", "boolean", "date"]
Language = Literal[
    "none",
    "arabic",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
]

#: File beside tantivy's own that says how the index was made.
DESCRIPTION = "rebridge.json"
#: tantivy's own description, which every commit replaces.
META = "meta.json"
#: Version of `DESCRIPTION` and of the analysis behind it; it rises when an old index would no longer answer rightly.
FORMAT = 1


class FieldSettings(BaseModel):
    """How one field of the documents is indexed.

    Attributes:
        type: ``text`` is searched by words; ``keyword`` is one exact value; all but ``text`` can filter and sort.
        boost: weight of a text field where a request names no fields of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: FieldType
    boost: float = Field(default=1.0, gt=0, allow_inf_nan=False)


def _long_form(field: object) -> object:
    return {"type": field} if isinstance(field, str) else field


_EitherForm = BeforeValidator(_long_form, json_schema_input_type=FieldType | FieldSettings)
Fields = dict[str, Annotated[FieldSettings, _EitherForm]]


def _default_path(given: dict[str, Any]) -> Path:
    return user_data_path("rebridge") / "indexes" / str(given["index"])


class IndexSettings(BaseModel):
    """Where an index lies, and how it is made.

    Attributes:
        index: name of the index.
        path: folder of the index; a relative one starts at the current directory. By default a folder of that name in
            the user's data directory.
        fields: field name -> type or `FieldSettings`; dotted names reach into nested objects. Other fields of a
            document are kept and returned but not searched. None takes them from the index.
        language: whose word endings are cut (Snowball); ``none`` keeps words whole. None takes it from the index, and
            English for a new one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: str = "default"
    path: Path = Field(default_factory=_default_path)
    fields: Fields | None = Field(default=None, min_length=1)
    language: Language | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()


class Description(BaseModel):
    """What an index remembers of its making: the content of `DESCRIPTION`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    language: Language
    fields: Fields

    @property
    def boosts(self) -> dict[str, float]:
        """The text fields with their weights."""
        return {name: field.boost for name, field in self.fields.items() if field.type == "text"}

    def save(self, folder: Path) -> None:
        """Write the description, at once or not at all."""
        draft = folder / f"{DESCRIPTION}.new"
        draft.write_text(self.model_dump_json(indent=2), encoding="utf-8")
        os.replace(draft, folder / DESCRIPTION)  # noqa: PTH105 - the same call, and plainly the atomic one


def load_description(folder: Path) -> Description:
    """Read how an index was made.

    Raises:
        ConnectorError: if the file is damaged, or of another version of rebridge.
    """
    file = folder / DESCRIPTION
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        version = content["format"]
        if version != FORMAT:
            raise ConnectorError(
                f"{folder} has index format {version}, but this rebridge uses {FORMAT}: "
                "index the documents again into a new folder."
            )
        return Description.model_validate(content)
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        raise ConnectorError(f"{file} is damaged ({error}): index the documents again into a new folder.") from error


def reconcile(settings: IndexSettings, stored: Description) -> Description:
    """The index's own description, with the boosts of the settings.

    Raises:
        ConnectorError: if the settings ask for other fields, types or language than the index has.
    """
    cure = f"Leave the key out to use the index as it is; or delete {settings.path} and index the documents again."
    if settings.language not in {None, stored.language}:
        raise ConnectorError(f"language is {settings.language} in the settings, {stored.language} in the index. {cure}")
    given = stored.fields if settings.fields is None else settings.fields
    for name in sorted(given.keys() | stored.fields.keys()):
        asked, made = (fields[name].type if name in fields else "missing" for fields in (given, stored.fields))
        if asked != made:
            raise ConnectorError(f"Field {name!r} is {asked} in the settings but {made} in the index. {cure}")
    return stored.model_copy(update={"fields": given})
