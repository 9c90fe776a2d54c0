"""Semantic reranking behind the keyword search engine you already run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebridge.client import wrap
    from rebridge.config import PipelineConfig
    from rebridge.config_files import load_config
    from rebridge.errors import (
        BadReply,
        ConfigError,
        ConnectorError,
        DeadlineExceeded,
        MissingExtra,
        ModelNotFound,
        RebridgeError,
        ScorerError,
        UnsupportedModel,
    )
    from rebridge.scorers import Scorer, open_scorer
    from rebridge.searcher import Searcher

# What happens to log records is the application's choice.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# Public name -> the module that holds it, imported when first asked for: `import rebridge` stays quick.
_PUBLIC = {
    "BadReply": "rebridge.errors",
    "ConfigError": "rebridge.errors",
    "ConnectorError": "rebridge.errors",
    "DeadlineExceeded": "rebridge.errors",
    "MissingExtra": "rebridge.errors",
    "ModelNotFound": "rebridge.errors",
    "PipelineConfig": "rebridge.config",
    "RebridgeError": "rebridge.errors",
    "Scorer": "rebridge.scorers",
    "ScorerError": "rebridge.errors",
    "Searcher": "rebridge.searcher",
    "UnsupportedModel": "rebridge.errors",
    "load_config": "rebridge.config_files",
    "open_scorer": "rebridge.scorers",
    "wrap": "rebridge.client",
}

__all__ = [
    "BadReply",
    "ConfigError",
    "ConnectorError",
    "DeadlineExceeded",
    "MissingExtra",
    "ModelNotFound",
    "PipelineConfig",
    "RebridgeError",
    "Scorer",
    "ScorerError",
    "Searcher",
    "UnsupportedModel",
    "load_config",
    "open_scorer",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
