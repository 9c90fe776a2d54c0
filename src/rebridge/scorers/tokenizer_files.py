"""From a tokenizer's files to a fast tokenizer that gives the ids the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

# Where tokenizers keep their vocabulary.
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spm.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)

# Settings of BERT's tokenizers, and what their normalizer calls them.
_BERT_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def load_tokenizer(checkpoint: Checkpoint, model: Any) -> Any:
    """The tokenizer of a checkpoint; see `Checkpoint.load_tokenizer`."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = checkpoint.file(checkpoint.transformer_folder)
    # transformers makes up an empty tokenizer where there is none.
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UnsupportedModel(f"{checkpoint.name}: {folder} has no tokenizer (none of {', '.join(_VOCABULARIES)})")
    # AutoTokenizer of transformers 5 rebuilds many tokenizers from their vocabulary and so loses parts of
    # tokenizer.json: the character map of DeBERTa, the blank that Llama puts before a text.
    exact = (folder / "tokenizer.json").is_file()
    loader = PreTrainedTokenizerFast if exact else AutoTokenizer
    with checkpoint.translated("its tokenizer cannot be loaded"):
        tokenizer = loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise UnsupportedModel(f"{checkpoint.name}: needs a fast tokenizer (tokenizer.json)")
    if exact:
        name = f"{checkpoint.transformer_folder}tokenizer_config.json"
        _restore(tokenizer, checkpoint.read_object(name, optional=True), model.config)
    known = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        raise UnsupportedModel(f"{checkpoint.name}: the tokenizer has {len(tokenizer)} tokens, the model only {known}")
    return tokenizer


def _restore(tokenizer: Any, settings: dict[str, Any], config: Any) -> None:
    """Give a tokenizer what its own class would have added to ``tokenizer.json``.

    Args:
        tokenizer: of the general class.
        settings: its ``tokenizer_config.json``.
        config: of the model that reads its tokens.
    """
    if "model_input_names" not in settings:
        segments = (getattr(config, "type_vocab_size", None) or 0) > 1
        tokenizer.model_input_names = ["input_ids", "attention_mask"] + ["token_type_ids"] * segments
    normalizer = tokenizer.backend_tokenizer.normalizer
    if type(normalizer).__name__ != "BertNormalizer":
        return
    # BERT's classes let the settings win over the file.
    for setting, attribute in _BERT_SETTINGS.items():
        if setting in settings:
            setattr(normalizer, attribute, settings[setting])
