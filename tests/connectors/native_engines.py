"""Stand-ins for engines that rerank by themselves: the APIs for that, in memory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import jsonpath
import requests

from .standin import StandIn

ELASTIC = {"x-elastic-product": "Elasticsearch"}


def refusal(kind: str, reason: str) -> dict[str, Any]:
    """An error as both engines write it."""
    cause = {"type": kind, "reason": reason}
    return {"error": {**cause, "root_cause": [cause]}}


@dataclass
class _Engine(StandIn):
    """Answers from what was written to it; `broken` is what it answers instead: (method, path) -> status and body."""

    answers: dict[str, Any] = field(default_factory=dict)
    broken: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)

    def answer(self, path: str) -> tuple[int, str, str]:
        """The answer to the last request."""
        method, _, body = self.asked[-1]
        path = path.partition("?")[0]
        told = self.broken.get((method, re.sub("id-.*", "ID", path)))
        status, value = told or self.route(method, path, json.loads(body or "null"))
        return status, "application/json", json.dumps(value)

    def route(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def written(self) -> list[tuple[str, str]]:
        """Method and path of the requests that may have changed something."""
        reads = ("_search", "_predict")
        return [
            (method, path.partition("?")[0])
            for method, path, _ in self.asked
            if method != "GET" and not any(word in path for word in reads if "/_search/pipeline" not in path)
        ]


@dataclass
class FakeElasticsearch(_Engine):
    """The inference API, which calls the rerank server as Elasticsearch does; it never gives secrets back."""

    headers: dict[str, str] = field(default_factory=lambda: dict(ELASTIC))
    endpoints: dict[str, Any] = field(default_factory=dict)

    def route(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """GET, PUT and DELETE an endpoint, and POST to ask it."""
        name = path.removeprefix("/_inference/rerank/")
        if method == "PUT" and name in self.endpoints:
            return 400, refusal("resource_already_exists_exception", f"[{name}] already exists")
        if method == "PUT":
            self.endpoints[name] = body
        elif name not in self.endpoints:
            return 404, refusal("resource_not_found_exception", f"Inference endpoint not found [{name}]")
        elif method == "DELETE":
            del self.endpoints[name]
            return 200, {"acknowledged": True, "pipelines": []}
        elif method == "POST":
            return 200, {"rerank": self.ask(self.endpoints[name], body)}
        made = self.endpoints[name]
        shown = {
            key: each for key, each in made["service_settings"].items() if key not in {"secret_parameters", "api_key"}
        }
        settings = {**shown, "rate_limit": {"requests_per_minute": 10_000}}
        told = {"inference_id": name, "task_type": "rerank", "service": made["service"], "service_settings": settings}
        return 200, told if method == "PUT" else {"endpoints": [told]}

    def ask(self, endpoint: Any, body: Any) -> list[dict[str, Any]]:
        """What the rerank server answers, read as the service of the endpoint reads it."""
        settings = endpoint["service_settings"]
        if endpoint["service"] == "hugging_face":
            key = {"Authorization": f"Bearer {settings['api_key']}"}
            asked = {"query": body["query"], "documents": body["input"]}
            told = requests.post(settings["url"], json=asked, headers=key, timeout=10)
            assert told.ok, told.text
            return [{"index": each["index"], "relevance_score": each["relevance_score"]} for each in told.json()]
        values = {"input": json.dumps(body["input"]), "query": json.dumps(body["query"])}
        values |= settings["secret_parameters"]

        def filled(text: str) -> str:
            return re.sub(r"\$\{(\w+)\}", lambda slot: str(values[slot[1]]), text)

        headers = {name: filled(value) for name, value in settings["headers"].items()}
        told = requests.post(settings["url"], filled(settings["request"]).encode(), headers=headers, timeout=10)
        assert told.ok, told.text
        paths = settings["response"]["json_parser"]
        columns = [jsonpath.findall(paths[key], told.json()) for key in ("reranked_index", "relevance_score")]
        return [{"index": index, "relevance_score": score} for index, score in zip(*columns, strict=True)]


@dataclass
class FakeOpenSearch(_Engine):
    """Cluster settings, ML Commons and search pipelines. Models give the scores 0.75 and 0.25."""

    settings: dict[str, dict[str, Any]] = field(default_factory=lambda: {"persistent": {}, "transient": {}})
    defaults: dict[str, Any] = field(default_factory=dict)
    things: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"connectors": {}, "models": {}, "model_groups": {}}
    )
    pipelines: dict[str, Any] = field(default_factory=dict)
    made: int = 0

    def route(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Whatever the installer asks."""
        if path.startswith("/_plugins/_ml/"):
            return self.machine_learning(method, *path.removeprefix("/_plugins/_ml/").split("/", 1), body)
        if path.startswith("/_search/pipeline/"):
            return self.stored(self.pipelines, method, path.rpartition("/")[2], body)
        if path == "/_cluster/settings":
            for section, values in (body or {}).items():
                self.settings[section].update(values)
            return 200, {**self.settings, "defaults": self.defaults}
        return 200, {"version": {"distribution": "opensearch", "number": "2.19.6"}}

    def machine_learning(self, method: str, kind: str, rest: str, body: Any) -> tuple[int, Any]:
        """ML Commons."""
        if kind == "_predict":
            outputs = [{"name": "similarity", "data_type": "FLOAT32", "data": [score]} for score in (0.75, 0.25)]
            return 200, {"inference_results": [{"output": outputs, "status_code": 200}]}
        if rest == "_search":
            found = [(key, each) for key, each in self.things[kind].items() if each["name"] in str(body)]
            return 200, {"hits": {"hits": [{"_id": key, "_source": each} for key, each in found]}}
        if rest in {"_create", "_register"}:
            return 200, self.make(kind, body)
        return (200, {}) if rest.endswith("/_undeploy") else self.stored(self.things[kind], method, rest, body)

    def stored(self, where: dict[str, Any], method: str, key: str, body: Any) -> tuple[int, Any]:
        """GET, PUT or DELETE one thing."""
        if method == "PUT":
            where[key] = body
        elif key not in where:
            return 404, {}
        elif method == "DELETE":
            del where[key]
        elif where is self.pipelines:
            return 200, {key: where[key]}
        return 200, where.get(key, {"acknowledged": True})

    def make(self, kind: str, body: Any) -> dict[str, Any]:
        """A new connector or model."""
        self.made += 1
        key = f"id-{self.made}"
        shown = {name: each for name, each in body.items() if name != "credential"}
        if kind == "connectors":
            shown["actions"] = [{**each, "action_type": each["action_type"].upper()} for each in body["actions"]]
        self.things[kind][key] = {**shown, "model_state": "DEPLOYED"} if kind == "models" else shown
        return {"model_id" if kind == "models" else "connector_id": key}
