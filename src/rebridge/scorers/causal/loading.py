"""Loaders of language models that answer with one token, or with one token rather than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError
from rebridge.scorers.causal.decoder import Decoder, DecoderModel
from rebridge.scorers.causal.family import Causal
from rebridge.scorers.causal.prompts import (
    ChatPrompt,
    ChatTexts,
    Limits,
    PairPrompt,
    PairTexts,
    Prompt,
    TemplatePrompt,
    fill,
)
from rebridge.scorers.causal.weights import load_base, output_rows
from rebridge.scorers.tokens import TextEncoder
from rebridge.scorers.torch_model import position_limit

if TYPE_CHECKING:
    import torch

    from rebridge.scorers.checkpoint import Checkpoint

# Of a model that does not say how many positions it has.
_MOST_POSITIONS = 1_000_000

_NEEDS_TEMPLATE = """{name} is a language model ({architecture}), and nothing tells how it was trained to judge \
passages. Either
  - name the recipe, if it is a copy of a reranker or was trained like one: recipe='mxbai-rerank-v2',
    'bge-reranker-gemma' or 'qwen3-reranker'
  - or ask it in your own words: recipe='causal-yes-no', template='...{{query}}...{{passage}}...',
    positive='yes', negative='no'"""


class Loaded:
    """A language model with its tokenizer, before it is known what it will be asked.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.

    Raises:
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.model = load_base(checkpoint, device=device, dtype=dtype)
        self.tokenizer = checkpoint.load_tokenizer(self.model)
        self.positions = position_limit(self.model.config) or _MOST_POSITIONS
        # The limit of this encoder is not used: a prompt is cut by its own rules.
        self.text = TextEncoder(self.tokenizer, self.positions)

    def answering(
        self, prompt: Prompt, answers: tuple[str, str | None], *, normalize: bool, midpoint: float = 0.0
    ) -> Causal:
        """The scorer of what the model answers: the first token of one text, less that of another if there is one."""
        ids = [int(self.text.ids([answer])[0][0]) for answer in answers if answer is not None]
        rows = output_rows(self.checkpoint, self.model, ids)
        # A difference of logits is one product with the difference of their rows.
        head = rows[:1] if len(ids) == 1 else rows[:1] - rows[1:]
        model = DecoderModel(Decoder(self.model), self.text, self.device)
        return Causal(model, head, prompt, normalize=normalize, midpoint=midpoint)


def load_mxbai(  # noqa: PLR0913 - the recipe's settings and options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    texts: PairTexts,
    estimated_maxima: dict[str, float],
    max_length: int = 8192,
    instruction: str = "",
    normalize: bool = False,
    estimated_max: float | None = None,
) -> Causal:
    """Load mxbai-rerank v2 as mxbai-rerank 0.1.6 does: the logit of "1" less that of "0".

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        texts: the prompt.
        estimated_maxima: lower-case name on the hub -> its ``estimated_max``; ``""`` -> that of any other name.
        max_length: most tokens of instruction, query and passage, without the rest of the prompt; clamped to what
            the model has positions for.
        instruction: what to look for; empty for none.
        normalize: whether the score is 0...1: the sigmoid of the difference less half of ``estimated_max``. The raw
            score is then the difference less that half.
        estimated_max: a high difference; None for that of the model's name.

    Raises:
        ConfigError: if ``estimated_max`` is not positive.
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """
    if estimated_max is None:
        estimated_max = estimated_maxima.get(checkpoint.name.lower(), estimated_maxima[""])
    if not 0 < estimated_max < float("inf"):
        raise ConfigError(f"estimated_max={estimated_max} must be above 0: it is a high difference of two logits")
    loaded = Loaded(checkpoint, device, dtype)
    prompt = PairPrompt(loaded.text, texts, Limits(loaded.positions, max_length), None, instruction)
    return loaded.answering(prompt, ("1", "0"), normalize=normalize, midpoint=estimated_max / 2 if normalize else 0.0)


def load_bge(  # noqa: PLR0913 - the recipe's settings and options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    texts: PairTexts,
    max_length: int = 512,
    query_max_length: int | None = None,
    normalize: bool = False,
) -> Causal:
    """Load bge-reranker-v2-gemma as ``FlagLLMReranker`` of FlagEmbedding 1.4.2 does: the logit of "Yes".

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        texts: the prompt.
        max_length: most tokens of query and passage together, and a little more as the official code counts.
        query_max_length: most tokens of the query, at most ``max_length``; None for three quarters of it.
        normalize: whether the score is the sigmoid of the logit.

    Raises:
        ConfigError: if ``query_max_length`` is above ``max_length``.
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """
    from transformers.activations import ACT2FN

    loaded = Loaded(checkpoint, device, dtype)
    # The config says "gelu", by which Gemma means this form; not every version of transformers knows that.
    for layer in loaded.model.layers:
        layer.mlp.act_fn = ACT2FN["gelu_pytorch_tanh"]
    prompt = bge_prompt(loaded.tokenizer, loaded.text, texts, Limits(loaded.positions, max_length, query_max_length))
    return loaded.answering(prompt, ("Yes", None), normalize=normalize)


def bge_prompt(tokenizer: Any, text: TextEncoder, texts: PairTexts, limits: Limits) -> PairPrompt:
    """The prompt of FlagEmbedding's decoders.

    Raises:
        ConfigError: if the query's limit is above that of everything.
    """
    if limits.query_max_length is not None and limits.query_max_length > limits.max_length:
        raise ConfigError(
            f"query_max_length={limits.query_max_length} must not be above max_length={limits.max_length}"
        )
    bos = tokenizer.bos_token_id
    if texts.bos == "never" or (texts.bos == "unless_padding" and bos == tokenizer.pad_token_id):
        bos = None
    return PairPrompt(text, texts, limits, bos, instruction="")


def load_qwen3(  # noqa: PLR0913 - the recipe's settings and options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    texts: ChatTexts,
    instruction: str,
    max_length: int = 8192,
    normalize: bool = True,
) -> Causal:
    """Load Qwen3-Reranker as its README does: the logit of "yes" less that of "no", and its sigmoid.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        texts: the prompt.
        instruction: what to look for.
        max_length: most tokens of an input; clamped to what the model has positions for.
        normalize: whether the score is the sigmoid of the difference.

    Raises:
        ConfigError: if ``max_length`` leaves no room for query and passage.
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """
    loaded = Loaded(checkpoint, device, dtype)
    prompt = ChatPrompt(loaded.text, texts, Limits(loaded.positions, max_length), instruction)
    return loaded.answering(prompt, ("yes", "no"), normalize=normalize)


def load_template(  # noqa: PLR0913 - the recipe's options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    template: str | None = None,
    positive: str = "yes",
    negative: str | None = None,
    instruction: str = "",
    max_length: int = 8192,
    normalize: bool | None = None,
) -> Causal:
    """Load any language model, to be asked in the user's own words.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        template: the whole prompt, chat markers included, with ``{query}``, ``{passage}`` and maybe ``{instruction}``.
        positive: the answer, one token, whose logit is the score.
        negative: the answer, one token, whose logit is taken off; None for none.
        instruction: what ``{instruction}`` stands for.
        max_length: most tokens of an input; clamped to what the model has positions for.
        normalize: whether the score is the sigmoid of the raw one; None for yes if there is a negative answer.

    Raises:
        ConfigError: if there is no template or it lacks a field, or an answer is not one token.
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """
    if template is None:
        raise ConfigError(_NEEDS_TEMPLATE.format(name=checkpoint.name, architecture=checkpoint.architecture))
    needed = {"{query}", "{passage}"} | ({"{instruction}"} if instruction else set())
    missing = sorted(field for field in needed if field not in template)
    if missing:
        raise ConfigError(f"the template lacks {' and '.join(missing)}: {template!r}")
    loaded = Loaded(checkpoint, device, dtype)
    for option, answer in (("positive", positive), ("negative", negative)):
        count = 1 if answer is None else len(loaded.text.ids([answer])[0])
        if count != 1:
            raise ConfigError(f"{option}={answer!r} must be one token of {checkpoint.name}, and is {count}")
    first = loaded.tokenizer("a")["input_ids"][0]
    bos = first if first == loaded.tokenizer.bos_token_id else None
    filled = fill(template, instruction=instruction, query="{query}", passage="{passage}")
    prompt = TemplatePrompt(loaded.text, filled, Limits(loaded.positions, max_length), bos)
    return loaded.answering(
        prompt, (positive, negative), normalize=negative is not None if normalize is None else normalize
    )
