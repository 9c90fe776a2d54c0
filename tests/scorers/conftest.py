"""Tiny random checkpoints in the layouts of real ones. Wide weights (std 0.2) keep scores apart."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from .tiny import config_of, tokenizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Odd and ordinary passages alike; every family must cope with all of them.
PASSAGES = [
    "Berlin has 3.7 million inhabitants.",
    "",
    "a",
    "   red shoes with blanks around   ",
    "two\nlines\r\n\tand a tab",
    "東京 是 首都 資訊檢索",
    "\U0001f600 shoes \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "red running shoes",
    "red running shoes",
    "the river flows through the old town " * 40,
    "x" * 3000,
    "Stra\u00dfe cafe\u0301",
]

QUERIES = ["How many people live in Berlin?", "red shoes", "", "wind energy and water power " * 30]


def change_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes a key."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes} if path.is_file() else changes
    content = {key: value for key, value in content.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="session")
def edit_json() -> Callable[..., None]:
    """`change_json`."""
    return change_json


@pytest.fixture(scope="session")
def passages() -> list[str]:
    """Odd and ordinary passages."""
    return list(PASSAGES)


@pytest.fixture(scope="session")
def queries() -> list[str]:
    """Short, empty and over-long queries."""
    return list(QUERIES)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For models so tiny that their work is too small to share between threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def open_once() -> Iterator[Callable[..., Any]]:
    """(folder, options) -> scorer on the CPU, opened once for all tests of a file, and closed after them."""
    from rebridge.scorers import open_scorer

    opened: dict[str, Any] = {}

    def get(folder: Path, **options: Any) -> Any:
        name = json.dumps([str(folder), options])
        if name not in opened:
            opened[name] = open_scorer(folder, device="cpu", **options)
        return opened[name]

    yield get
    for scorer in opened.values():
        scorer.close()


@pytest.fixture(scope="session")
def build_cross_encoder() -> Callable[..., Path]:
    """(folder, kind, labels) -> folder with a cross-encoder."""

    def build(folder: Path, kind: str = "bert", labels: int = 1, **extra: Any) -> Path:
        import torch
        import transformers

        torch.manual_seed(7)
        tokenizer = tokenizer_of(kind, 96)
        config = config_of(kind, len(tokenizer), num_labels=labels, **extra)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        _widen(model)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return build


def _widen(model: Any) -> None:
    """Some architectures start their heads narrow, which would hide differences between scores."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, 0.2)


@pytest.fixture(scope="session")
def build_bi_encoder() -> Callable[..., Path]:
    """(folder, kind, pooling, modules after it) -> folder in the layout of sentence-transformers."""

    def build(
        folder: Path,
        kind: str = "bert",
        pooling: dict[str, Any] | None = None,
        after: tuple[str, ...] = ("Normalize",),
        settings: dict[str, Any] | None = None,
    ) -> Path:
        import torch
        import transformers

        torch.manual_seed(11)
        tokenizer = tokenizer_of(kind, 96)
        model = transformers.AutoModel.from_config(config_of(kind, len(tokenizer)))
        _widen(model)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        change_json(folder / "sentence_bert_config.json", **(settings or {"max_seq_length": 40}))
        names = ["", "1_Pooling"] + [f"{number}_{kind}" for number, kind in enumerate(after, start=2)]
        modules = [
            {"idx": idx, "name": str(idx), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for idx, (path, kind) in enumerate(zip(names, ("Transformer", "Pooling", *after), strict=True))
        ]
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
        mode = pooling or {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
        change_json(folder / "1_Pooling" / "config.json", word_embedding_dimension=16, **mode)
        for number, name in enumerate(after, start=2):
            if name == "Dense":
                _build_dense(folder / f"{number}_Dense")
        return folder

    return build


def _build_dense(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    change_json(
        folder / "config.json",
        in_features=16,
        out_features=12,
        bias=True,
        activation_function="torch.nn.modules.activation.Tanh",
    )
    weights = {"linear.weight": torch.randn(12, 16) * 0.2, "linear.bias": torch.randn(12) * 0.2}
    save_file(weights, folder / "model.safetensors")


@pytest.fixture(scope="session")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory, build_cross_encoder: Callable[..., Path]) -> Path:
    """A BERT cross-encoder with one label; tests copy it before they change it."""
    return build_cross_encoder(tmp_path_factory.mktemp("cross-encoder"))


@pytest.fixture(scope="session")
def bi_encoder(tmp_path_factory: pytest.TempPathFactory, build_bi_encoder: Callable[..., Path]) -> Path:
    """A BERT bi-encoder; tests copy it before they change it."""
    return build_bi_encoder(tmp_path_factory.mktemp("bi-encoder"))


@pytest.fixture
def open_tiny() -> Iterator[Callable[..., Any]]:
    """`open_scorer` on the CPU in float32, closing what it opened."""
    from rebridge.scorers import open_scorer

    opened: list[Any] = []

    def open_it(model: Path, **options: Any) -> Any:
        opened.append(open_scorer(model, device="cpu", **options))
        return opened[-1]

    yield open_it
    for scorer in opened:
        scorer.close()


@pytest.fixture
def ask() -> Iterator[Callable[..., Any]]:
    """Opens remote scorers of peers, and closes them."""
    from rebridge.scorers.remote import RemoteScorer

    with ExitStack() as owned:
        yield lambda peer, **options: owned.enter_context(RemoteScorer(peer.url, dialect=peer.dialect, **options))
