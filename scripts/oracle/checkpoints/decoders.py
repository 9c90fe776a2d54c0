"""Language models that answer with a token's logit, and Qwen3's form with one label."""

from pathlib import Path

import torch
import vocabularies
from files import edit_config, fill, fresh, save_model, save_tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

QWEN = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}


def qwen2(folder: Path) -> None:
    """mxbai-rerank v2: Qwen2 with tied embeddings, stored as bf16; positions shortened from 32768 to 2048."""
    tokenizer = vocabularies.qwen()
    config = Qwen2Config(
        **QWEN, vocab_size=len(tokenizer) + 9, max_position_embeddings=2048, **_ids(tokenizer, "bos", "eos")
    )
    save_model(fill(Qwen2ForCausalLM(config), seed=21), fresh(folder), dtype=torch.bfloat16)
    save_tokenizer(tokenizer, folder)


def gemma(folder: Path) -> None:
    """bge-reranker-v2-gemma: the config says `gelu`, as on the hub; the scores are those of the tanh form."""
    tokenizer = vocabularies.gemma()
    config = GemmaConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=64,
        vocab_size=len(tokenizer),
        max_position_embeddings=8192,
        rms_norm_eps=1e-6,
        rope_theta=1e4,
        **_ids(tokenizer, "bos", "eos", "pad"),
    )
    save_model(fill(GemmaForCausalLM(config), seed=22), fresh(folder), hidden_act="gelu", hidden_activation=None)
    save_tokenizer(tokenizer, folder)


def minicpm(folder: Path) -> None:
    """bge-reranker-v2-minicpm-layerwise: heads from layer 2 to 6 instead of 8 to 40."""
    from FlagEmbedding.inference.reranker.decoder_only.models import (
        configuration_minicpm_reranker,
        modeling_minicpm_reranker,
    )

    tokenizer = vocabularies.llama()
    config = configuration_minicpm_reranker.LayerWiseMiniCPMConfig(
        hidden_size=24,
        num_hidden_layers=6,
        num_attention_heads=3,
        num_key_value_heads=3,
        intermediate_size=40,
        vocab_size=len(tokenizer),
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        rope_theta=1e4,
        scale_emb=12,
        scale_depth=1.4,
        dim_model_base=256,
        start_layer=2,
        head_multi=True,
        head_type="simple",
        tie_word_embeddings=False,
        use_cache=False,
        **_ids(tokenizer, "bos", "eos"),
    )
    model = fill(modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM(config), seed=23)
    names = {
        "AutoConfig": "configuration_minicpm_reranker.LayerWiseMiniCPMConfig",
        "AutoModel": "modeling_minicpm_reranker.LayerWiseMiniCPMModel",
        "AutoModelForCausalLM": "modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM",
    }
    save_model(model, fresh(folder), auto_map=names, torch_dtype="bfloat16", model_type="minicpm")
    save_tokenizer(tokenizer, folder)


def qwen3(folder: Path) -> None:
    """Qwen3-Reranker: Qwen3 with tied embeddings, stored as bf16."""
    tokenizer = vocabularies.qwen(thinking=True, max_length=131072)
    model = fill(Qwen3ForCausalLM(_qwen3_config(tokenizer)), seed=24)
    save_model(model, fresh(folder), dtype=torch.bfloat16)
    save_tokenizer(tokenizer, folder)


def qwen3_seq_cls(folder: Path) -> None:
    """The form with one label, derived from `qwen3`: its head is the row of `yes` minus the row of `no`."""
    qwen3(folder)
    tokenizer = vocabularies.qwen(thinking=True, max_length=131072)
    tensors = load_file(folder / "model.safetensors")
    table = tensors["model.embed_tokens.weight"].float()
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    tensors.pop("lm_head.weight", None)
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    tensors["score.weight"] = (table[yes] - table[no])[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    label = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    edit_config(folder, architectures=["Qwen3ForSequenceClassification"], torch_dtype="float32", **label)


def _qwen3_config(tokenizer: PreTrainedTokenizerBase) -> Qwen3Config:
    return Qwen3Config(
        **QWEN,
        head_dim=8,
        vocab_size=len(tokenizer) + 7,
        max_position_embeddings=40960,
        **_ids(tokenizer, "bos", "eos", "pad"),
    )


def _ids(tokenizer: PreTrainedTokenizerBase, *names: str) -> dict[str, int]:
    """Return the config's `*_token_id` entries; Qwen has no beginning-of-text token and names its end token twice."""
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
    if "bos_token_id" in ids and ids["bos_token_id"] is None:
        ids["bos_token_id"] = tokenizer.eos_token_id
    return ids
