"""How documents lie in a tantivy index: its schema, the analysis of text, and one document's entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tantivy import Document, Filter, Schema, SchemaBuilder, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from rebridge.errors import ConnectorError
from rebridge_tantivy.documents import MAX_ID_BYTES, convert, encode_source, values
from rebridge_tantivy.settings import Description, FieldType, Language

#: Fields of our own. `ALL` holds the words of all text fields together.
ID, SOURCE, ALL = "_id", "_source", "_all"
#: Name under which an index knows our analysis.
ANALYZER = "rebridge"

# Runs of letters, marks and digits; Han and Hiragana, which are written without spaces, one character at a time.
_WORD = r"[\p{Han}\p{Hiragana}]|[\p{L}\p{M}\p{N}--[\p{Han}\p{Hiragana}]]+"
_LONGEST_WORD = 255


def analyzer(language: Language) -> TextAnalyzer:
    """Text -> words: cut, lower case, without word endings and accents.

    Accents go last, because the stemmers of many languages need them.
    """
    builder = TextAnalyzerBuilder(Tokenizer.regex(_WORD))
    builder = builder.filter(Filter.remove_long(_LONGEST_WORD)).filter(Filter.lowercase())
    if language != "none":
        builder = builder.filter(Filter.stemmer(language))
    return builder.filter(Filter.ascii_fold()).build()


class Layout:
    """How documents lie in one index.

    Args:
        description: the fields and the language.

    Attributes:
        fields: the type of every field that is indexed, `ID` among them.
        boosts: the text fields with their weights, as a search uses them if it names none.
        schema: tantivy's schema.
        analyzer: text -> words, the same for every text field.
        combined: whether there is an `ALL` field; with a single text field it would be the same thing twice.
    """

    def __init__(self, description: Description) -> None:
        self.fields: dict[str, FieldType] = {name: field.type for name, field in description.fields.items()}
        self.boosts = description.boosts
        self.combined = len(self.boosts) > 1
        self.schema = self._schema()
        self.fields[ID] = "keyword"
        self.analyzer = analyzer(description.language)

    def _schema(self) -> Schema:
        builder = SchemaBuilder()
        builder.add_text_field(ID, stored=True, fast=True, tokenizer_name="raw", index_option="basic")
        builder.add_bytes_field(SOURCE, stored=True)
        if self.combined:
            builder.add_text_field(ALL, tokenizer_name=ANALYZER, index_option="freq")
        for name, kind in self.fields.items():
            if name.startswith("_") or not SchemaBuilder.is_valid_field_name(name):
                raise ConnectorError(f"A field cannot be called {name!r}: give it a name that begins with a letter.")
            if kind == "text":
                builder.add_text_field(name, tokenizer_name=ANALYZER)
            elif kind == "keyword":
                builder.add_text_field(name, fast=True, tokenizer_name="raw", index_option="basic")
            else:
                getattr(builder, f"add_{kind}_field")(name, indexed=True, fast=True)
        return builder.build()

    def document(self, doc_id: str, fields: Mapping[str, Any]) -> Document:
        """One document's entry.

        Raises:
            ConnectorError: if the document cannot be indexed; the text names its id and the field.
        """
        document = Document()
        try:
            document.add_text(ID, _checked_id(doc_id))
            document.add_bytes(SOURCE, encode_source(fields))
            for name, kind, value in self._converted(fields):
                if kind in {"text", "keyword"}:
                    document.add_text(name, value)
                else:
                    getattr(document, f"add_{kind}")(name, value)
                if kind == "text" and self.combined:
                    document.add_text(ALL, value)
        except ValueError as error:
            raise ConnectorError(f"Document {doc_id!r} cannot be indexed: {error}.") from error
        return document

    def _converted(self, fields: Mapping[str, Any]) -> Iterator[tuple[str, FieldType, Any]]:
        for name, kind in self.fields.items():
            if name == ID:
                continue
            for value in values(fields, name):
                try:
                    yield name, kind, convert(kind, value)
                except ValueError as error:
                    raise ValueError(f"field {name!r}: {error}") from error


def _checked_id(doc_id: str) -> str:
    if not isinstance(doc_id, str) or not doc_id:
        raise ValueError("its id is not a non-empty string")
    try:
        length = len(doc_id.encode())
    except UnicodeEncodeError as error:
        raise ValueError("its id holds a lone surrogate, which is not text") from error
    if length > MAX_ID_BYTES:
        raise ValueError(f"its id is longer than {MAX_ID_BYTES} bytes")
    return doc_id
