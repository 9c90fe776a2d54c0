"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Configs = Annotated[
    Path | None,
    typer.Option(help="Folder of the pipeline files. [default: $REBRIDGE_CONFIGS or ./configs]", show_default=False),
]
