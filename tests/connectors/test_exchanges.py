"""Recordings: what goes into the file, and how strictly it is played."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from . import exchanges
from .exchanges import AGAIN, Answer, Player, Recorder, Recording, Request, serving
from .standin import StandIn
from .standin import serving as standing_in

FOUND = Answer(200, {"content-type": "application/json"}, {"hits": [1]})
NOTHING = Answer(404, {"content-type": "application/json"}, {"hits": []})
ASKED = Request("POST", "/i/_search?size=3", {"query": "shoe"})


def test_equal_requests_get_their_answers_in_order() -> None:
    """Equal requests get the answers in the order of the recording, over HTTP as from the engine."""
    player = Player([(ASKED, FOUND), (ASKED, NOTHING)])
    with serving(player.answer) as url:
        replies = [requests.post(f"{url}{ASKED.path}", json=ASKED.body, timeout=5) for _ in range(2)]
    assert [(reply.status_code, reply.json()) for reply in replies] == [(200, {"hits": [1]}), (404, {"hits": []})]
    player.check(ended=True)


@pytest.mark.parametrize(
    "changed",
    [
        ASKED._replace(method="GET"),
        ASKED._replace(path="/i/_search?size=4"),
        ASKED._replace(body={"query": "shoe", "from": 0}),
    ],
)
def test_a_changed_request_fails(changed: Request) -> None:
    """Another method, path or body is refused with the request and the command that records again."""
    player = Player([(ASKED, FOUND)])
    assert player.answer(changed).status == 501
    with pytest.raises(AssertionError, match="not in the recording") as raised:
        player.check(ended=True)
    assert AGAIN in str(raised.value)
    assert changed.path in str(raised.value)


def test_one_request_too_many_fails() -> None:
    """A request is answered as often as it was recorded."""
    player = Player([(ASKED, FOUND)])
    assert player.answer(ASKED) == FOUND
    assert player.answer(ASKED).status == 501
    with pytest.raises(AssertionError, match="not in the recording"):
        player.check(ended=False)


def test_one_request_too_few_fails() -> None:
    """What was recorded must be asked, by a test that comes to its end."""
    player = Player([(ASKED, FOUND)])
    player.check(ended=False)
    with pytest.raises(AssertionError, match="recorded, and not asked"):
        player.check(ended=True)


def test_a_recording_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times and the engine's machine stay out of the file, which gives back what was recorded."""
    monkeypatch.setattr(exchanges, "FOLDER", tmp_path)
    files = []
    for took in (3, 4):
        xml = f'<int name="QTime">{took}</int>'
        answers = {"/": (200, {"name": f"node{took}", "version": {"number": "9"}, "took": took}), "/update": (200, xml)}
        with standing_in(StandIn(answers, {"date": str(took)})) as engine:
            recorder = Recorder(engine.url)
            with serving(recorder.answer) as url:
                for _ in range(2):
                    requests.get(f"{url}/", timeout=5)
                requests.post(f"{url}/update", data='{"a": 1}\n{"b": 2}\n', timeout=5)
        recording = Recording("Engine 9", {"test": recorder.exchanges})
        recording.write("engine")
        assert Recording.read("engine") == recording
        files.append((tmp_path / "engine.json").read_text(encoding="utf-8"))
    assert files[0] == files[1]
    assert files[0].count('"number":"9"') == 1
    assert '{"lines":[{"a":1},{"b":2}]}' in files[0]
