"""The official packages' scores, one module per package, all behind the same call.

Each module has functions `open_*(folder)` that return a `Scorer`: `score(query, passages, **options)`.
"""

from collections.abc import Callable
from typing import Any

Scorer = Callable[..., Any]
