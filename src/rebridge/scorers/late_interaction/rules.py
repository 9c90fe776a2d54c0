"""What a ColBERT checkpoint says about reading its texts, in PyLate's layout and in Stanford's."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.late_interaction.text import Side
from rebridge.scorers.settings import Settings
from rebridge.scorers.torch_model import position_limit

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

# What PyLate takes where a checkpoint does not say.
_QUERY_LENGTH, _DOCUMENT_LENGTH = 32, 180
_PUNCTUATION = tuple(string.punctuation)

# Where Stanford's layout says everything.
_METADATA = "artifact.metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A checkpoint's own rules, as words; `sides` turns them into tokens.

    Attributes:
        query_marker: token behind the first one of a query; empty for none.
        document_marker: the same for documents.
        query_prompt: text before a query.
        document_prompt: text before a document.
        query_length: most tokens of a query, special tokens and marker included.
        document_length: the same for documents.
        expand: whether short queries are filled up with mask tokens.
        attend: whether the model attends to those.
        skiplist: tokens of documents that are not compared.
        lower_case: whether texts are lower-cased before they are tokenised.
    """

    query_marker: str
    document_marker: str
    query_prompt: str = ""
    document_prompt: str = ""
    query_length: int
    document_length: int
    expand: bool
    attend: bool
    skiplist: tuple[str, ...]
    lower_case: bool = False


def read_rules(checkpoint: Checkpoint, *, lengths_given: bool = False) -> Rules:
    """The rules in the checkpoint's files.

    Args:
        checkpoint: where to read them.
        lengths_given: whether the user says how long both sides may be.

    Raises:
        UnsupportedModel: if a value is of the wrong type, or nothing says how long texts may be.
    """
    return _pylate(checkpoint) if "Dense" in checkpoint.module_types else _stanford(checkpoint, lengths_given)


def sides(
    checkpoint: Checkpoint, tokenizer: Any, config: Any, *, query_length: int | None, document_length: int | None
) -> tuple[Side, Side]:
    """How queries and how documents are read.

    Args:
        checkpoint: where the rules are.
        tokenizer: of the model; markers become tokens of their own in it, as in the official code.
        config: of the transformers model.
        query_length: what the user asks for instead of the checkpoint's.
        document_length: the same for documents.

    Raises:
        UnsupportedModel: if the rules are incomplete, the tokenizer lacks a token of theirs, or a length cannot work.
        ConfigError: if a length that the user asked for cannot work.
    """
    rules = read_rules(checkpoint, lengths_given=query_length is not None and document_length is not None)
    least = int(tokenizer.num_special_tokens_to_add(pair=False)) + 2  # the marker and a token of the text
    most = position_limit(config)
    query = Side(
        length=_length(checkpoint, "query_length", query_length, rules.query_length, least, most),
        marker=_marker(checkpoint, tokenizer, rules.query_marker),
        prompt=rules.query_prompt,
        lower_case=rules.lower_case,
        expansion=_expansion(checkpoint, tokenizer) if rules.expand else None,
        attend_to_expansion=rules.attend,
    )
    document = Side(
        length=_length(checkpoint, "document_length", document_length, rules.document_length, least, most),
        marker=_marker(checkpoint, tokenizer, rules.document_marker),
        prompt=rules.document_prompt,
        lower_case=rules.lower_case,
        skipped=_known_ids(tokenizer, rules.skiplist),
    )
    return query, document


def _pylate(checkpoint: Checkpoint) -> Rules:
    settings = Settings(checkpoint, "config_sentence_transformers.json")
    transformer = Settings(checkpoint, checkpoint.transformer_folder + "sentence_bert_config.json")
    query_marker = settings.get("query_prefix", "[Q] ")
    document_marker = settings.get("document_prefix", "[D] ")
    return Rules(
        query_marker=query_marker,
        document_marker=document_marker,
        # Saved by sentence-transformers, a prompt repeats the marker.
        query_prompt=settings.prompt("query").removeprefix(query_marker),
        document_prompt=settings.prompt("document").removeprefix(document_marker),
        query_length=settings.get("query_length", _QUERY_LENGTH),
        document_length=settings.get("document_length", _DOCUMENT_LENGTH),
        expand=settings.get("do_query_expansion", True),
        attend=settings.get("attend_to_expansion_tokens", False),
        skiplist=tuple(str(word) for word in settings.get("skiplist_words", list(_PUNCTUATION))),
        lower_case=transformer.get("do_lower_case", False),
    )


def _stanford(checkpoint: Checkpoint, lengths_given: bool) -> Rules:  # noqa: FBT001 - see read_rules
    if not lengths_given and not checkpoint.file(_METADATA).is_file():
        raise UnsupportedModel(
            f"{checkpoint.name}: {_METADATA} is missing, which says how long texts may be; download it from where the "
            f"model comes from, or give both query_length and document_length"
        )
    settings = Settings(checkpoint, _METADATA)
    return Rules(
        query_marker=settings.get("query_token_id", "[unused0]"),
        document_marker=settings.get("doc_token_id", "[unused1]"),
        query_length=settings.get("query_maxlen", _QUERY_LENGTH),
        document_length=settings.get("doc_maxlen", _DOCUMENT_LENGTH),
        expand=True,
        attend=settings.get("attend_to_mask_tokens", False),
        skiplist=_PUNCTUATION if settings.get("mask_punctuation", True) else (),
    )


def _length(  # noqa: PLR0913, PLR0917 - one check for both sides
    checkpoint: Checkpoint, name: str, wanted: int | None, saved: int, least: int, most: int | None
) -> int:
    if wanted is None:
        if saved < least:
            raise UnsupportedModel(f"{checkpoint.name}: its {name} of {saved} leaves no room for a text")
        return saved if most is None else min(saved, most)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise ConfigError(f"{name} must be a whole number, not {wanted!r}")
    if wanted < least:
        raise ConfigError(f"{name}={wanted} leaves no room for a text: at least {least} tokens are needed")
    if most is not None and wanted > most:
        raise ConfigError(f"{name}={wanted} is more than this model can read: {most} tokens")
    return wanted


def _marker(checkpoint: Checkpoint, tokenizer: Any, marker: str) -> int | None:
    if not marker:
        return None
    if marker not in tokenizer.get_vocab():
        raise UnsupportedModel(
            f"{checkpoint.name}: the tokenizer has no token {marker!r}, which marks queries or documents, so the model "
            f"was not trained with it"
        )
    tokenizer.add_tokens([marker])  # known already; from now on found in texts as well
    return int(tokenizer.convert_tokens_to_ids(marker))


def _expansion(checkpoint: Checkpoint, tokenizer: Any) -> int:
    if tokenizer.padding_side != "right":
        raise UnsupportedModel(f"{checkpoint.name}: expanding queries on the {tokenizer.padding_side} is not supported")
    for token in (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):
        if token is not None:
            return int(token)
    raise UnsupportedModel(f"{checkpoint.name}: the tokenizer has no mask token to expand queries with")


def _known_ids(tokenizer: Any, words: tuple[str, ...]) -> tuple[int, ...]:
    """Ids of the words that are tokens. The others would stand for the unknown token, which has to be compared."""
    vocabulary = tokenizer.get_vocab()
    return tuple(sorted({int(vocabulary[word]) for word in words if word in vocabulary}))
