"""``/v1/models``, as OpenAI's API has it: https://platform.openai.com/docs/api-reference/models/list."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from rebridge.server.models.table import is_pattern
from rebridge.server.rerank.desk import Desk


class ModelCard(BaseModel):
    """A model, or an alias, whose `root` is the model's own name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["rebridge"] = "rebridge"
    root: str
    loaded: bool


class ModelList(BaseModel):
    """The models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def listing_router(desk: Desk) -> APIRouter:
    """``/v1/models``."""
    router = APIRouter(tags=["models"])
    created = int(time.time())

    @router.get("/v1/models", summary="The models (OpenAI)")
    def models() -> ModelList:
        """Every name that a request may give, but for aliases that are patterns."""
        cards = [
            ModelCard(id=name, created=created, root=state.name, loaded=state.loaded)
            for state in desk.service.models()
            for name in (state.name, *state.also)
            if not is_pattern(name)
        ]
        return ModelList(data=cards)

    return router
