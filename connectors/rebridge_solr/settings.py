"""What Solr can be told in a pipeline's ``connector:`` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from rebridge.remote import FieldType, RemoteSettings, Seconds, address_parts


def _address(text: str) -> str:
    address_parts(text, "http://localhost:8983/solr")
    return text.rstrip("/")


class SolrSettings(RemoteSettings):
    """Where a core or collection is, how to get in, and what is made there. `timeout_s` counts in seconds."""

    url: Annotated[str, AfterValidator(_address), Field(description="Address of Solr, with its path.")] = (
        "http://localhost:8983/solr"
    )
    index: Annotated[
        str, Field(min_length=1, description="Core, collection or alias. Default: the name of the pipeline's file.")
    ] = "default"
    timeout_s: Seconds = 60.0

    configset: Annotated[str, Field(min_length=1, description="What a new collection gets a copy of.")] = "_default"
    fields: Annotated[
        dict[str, FieldType] | None,
        Field(min_length=1, description="Fields that `rebridge index` adds to a schema that lacks them."),
    ] = None
    analyzer: Annotated[str, Field(description="The schema's field type for text fields that are added.")] = (
        "text_general"
    )
    shards: Annotated[int, Field(ge=1, description="Of a new collection.")] = 1

    @property
    def address(self) -> str:
        """The address of the core or collection."""
        return f"{self.url}/{self.index}"
