"""What requests through a proxy may ask to be done otherwise."""

from __future__ import annotations

import pytest

from rebridge import PipelineConfig
from rebridge.testing import FakeScorer

from .proxying import CONFIG
from .shops import BODY, ids, shops


class TestOverrides:
    OPEN = PipelineConfig.model_validate(
        {
            **CONFIG.model_dump(exclude={"passage", "fusion", "scorer", "connector", "overrides"}),
            "passage": {"template": "{title}"},
            "overrides": {"rank_window": True, "skip": True, "models": {"other": {"model": "another"}}},
        }
    )

    @pytest.mark.parametrize(
        ("header", "told"),
        [
            (("x-rerank", "off"), "bypassed; reason=switched_off; pipeline=*"),
            (("x-rerank-window", "5"), "applied; pipeline=*; model=fake"),
            (("x-rerank-window", "20"), "applied; pipeline=*; model=fake"),
            (("x-rerank-window", "21"), "applied; pipeline=*; model=fake; override_refused=rank_window"),
            (("x-rerank-window", "many"), "applied; pipeline=*; model=fake; override_refused=rank_window"),
            (("x-rerank-model", "other"), "applied; pipeline=*; model=fake"),
            (("x-rerank-model", "none"), "applied; pipeline=*; model=fake; override_refused=model"),
            (("x-rerank-deadline-ms", "5000"), "applied; pipeline=*; model=fake"),
            (("x-rerank-deadline-ms", "1e9"), "applied; pipeline=*; model=fake; override_refused=deadline"),
            (("x-rerank-deadline-ms", "nan"), "applied; pipeline=*; model=fake; override_refused=deadline"),
        ],
    )
    def test_allowed(self, header: tuple[str, str], told: str) -> None:
        """A request can ask for less, and choose among the models that its pipeline lists."""
        for shop in shops(self.OPEN):
            assert shop.told(BODY, "/shop/_search", header) == told

    def test_windows(self) -> None:
        """The window that is asked for is the one that is fetched."""
        for shop in shops(self.OPEN):
            assert ids(shop.search(BODY, "/shop/_search", ("x-rerank-window", "5"))[2]) == ["d5", "d4", "d3"]

    def test_not_allowed(self) -> None:
        """Without leave only the deadline can be lowered; what is refused is said and changes nothing."""
        headers = [("x-rerank", "off"), ("x-rerank-window", "5"), ("x-rerank-model", "other")]
        for shop in shops():
            status = shop.search(BODY, "/shop/_search", *headers)
            assert ids(status[2])[0] == "d20"
            assert dict(status[1])["x-rerank"] == (
                'applied; pipeline=*; model=fake; override_refused="rank_window skip model"'
            )

    def test_deadlines(self) -> None:
        """A deadline that passes gives the first stage's order."""
        for shop in shops(CONFIG, FakeScorer(hangs=True)):
            _, headers, reply = shop.search(BODY, "/shop/_search", ("x-rerank-deadline-ms", "50"))
            assert ids(reply) == ["d1", "d2", "d3"]
            assert dict(headers)["x-rerank"].startswith("degraded; reason=deadline; ")
