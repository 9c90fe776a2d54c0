"""What Solr can be told in a pipeline's ``connector:`` section."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr

FieldType = Literal["text", "keyword", "integer", "float", "boolean", "date"]


def _address(text: str) -> str:
    """An address with scheme and host, and no user in it."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address has scheme, host and path, like http://localhost:8983/solr")
    if parts.username or parts.password:
        raise ValueError("an address must not hold user and password, which would be shown; they have their own keys")
    return text.rstrip("/")


class SolrSettings(BaseModel):
    """Where a core or collection is, how to get in, and how a new one is made. `timeout_s` counts in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address), Field(description="Address of Solr, with its path.")] = (
        "http://localhost:8983/solr"
    )
    index: Annotated[
        str, Field(min_length=1, description="Core, collection or alias. Default: the name of the pipeline's file.")
    ] = "default"
    user: Annotated[str | None, Field(description="User name.")] = None
    password: Annotated[
        SecretStr | None, Field(description="Better in REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD than in a file.")
    ] = None
    ca_certs: Annotated[
        FilePath | None, Field(description="File with the certificates of the authority that signed Solr's.")
    ] = None
    verify_certs: Annotated[bool, Field(description="false trusts any certificate: for trying things out only.")] = True
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Seconds that a request may take.")] = 60.0

    configset: Annotated[str, Field(min_length=1, description="What a new core or collection is made from.")] = (
        "_default"
    )
    fields: Annotated[
        dict[str, FieldType] | None,
        Field(min_length=1, description="Fields that a new core or collection gets beside those of its configset."),
    ] = None
    analyzer: Annotated[
        str, Field(description="The configset's field type for text fields of a new core or collection.")
    ] = "text_general"
    shards: Annotated[int, Field(ge=1, description="Of a new collection.")] = 1

    @property
    def address(self) -> str:
        """The address of the core or collection."""
        return f"{self.url}/{self.index}"
