"""What the parent hands to its workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from rebridge.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker serves.

    Attributes:
        settings: of the server.
        configs: folder of the pipeline files as they are in force.
        ports: of the API, then of the proxies in their order.
        models: Unix socket of the process of the models.
        draining: set when the end has begun.
    """

    settings: ServerSettings
    configs: Path
    ports: tuple[int, ...]
    models: Path
    draining: Event
