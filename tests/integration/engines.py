"""Real engines in containers, as docker-compose.yml describes them.

What users start with `docker compose up` is what the tests run: image, settings, command and memory limit come from
that file. Only ports differ (any free one, on loopback), and data goes with the container.
"""

from __future__ import annotations

import gc
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

ROOT = Path(__file__).parents[2]
ENABLE = "real engines are enabled by: scripts/engines daemon && scripts/engines build"
LABEL = "rebridge.tests.pid"
STARTS_WITHIN = 300  # seconds; they take 5 to 20 on an idle machine
# Nothing here runs long enough to earn back the second compiler: without it an engine needs half the time to start.
QUICK_START = "-XX:TieredStopAtLevel=1"
LOG_LINES = 30
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """An engine as docker-compose.yml describes it."""

    name: str
    image: str
    port: int
    memory: str
    environment: Mapping[str, str]
    command: Sequence[str] | None

    @property
    def version(self) -> str:
        """The engine's version, which is its image's tag."""
        return self.image.rpartition(":")[2]

    @property
    def local_image(self) -> str:
        """What `scripts/engines build` calls the image where the official one cannot be pulled."""
        return f"rebridge-local/{self.name.rstrip('0123456789')}:{self.version}"


def services(environ: Mapping[str, str] = os.environ) -> dict[str, Service]:
    """The engines in docker-compose.yml, by name; ``${NAME:-default}`` is replaced as Compose does it."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    text = re.sub(r"(?<!\$)\$\{(\w+):-([^}]*)\}", lambda found: environ.get(found[1]) or found[2], text)
    described = yaml.safe_load(text.replace("$$", "$"))["services"]
    return {
        name: Service(
            name,
            image=service["image"],
            port=int(service["ports"][0].rpartition(":")[2]),
            memory=service["mem_limit"],
            environment=service["environment"],
            command=service.get("command"),
        )
        for name, service in described.items()
    }


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail in CI: there a missing engine would silently leave it untested."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{reason}; {ENABLE}", pytrace=False)
    pytest.skip(f"{reason}; {ENABLE}")


@dataclass
class Engines:
    """The engines of one test session: started when first asked for, stopped at its end."""

    services: Mapping[str, Service] = field(default_factory=services)
    running: dict[str, DockerContainer] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def given(self, key: str) -> str | None:
        """The address of an engine that already runs, from e.g. ``REBRIDGE_ELASTICSEARCH_URL``."""
        return os.environ.get(f"REBRIDGE_{key.upper()}_URL", "").rstrip("/") or None

    def start(
        self,
        key: str,
        service: str,
        ready: str,
        *,
        scheme: str = "http",
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        files: Sequence[tuple[Path, str]] = (),
        on_host_network: bool = False,
        **request: Any,
    ) -> str:
        """Start a service and wait until it answers the path ``ready``; returns its address.

        Args:
            key: what this container is called here; the prefix of the fixture that needs it.
            service: its name in docker-compose.yml.
            ready: a path that answers 200 as soon as the engine can be used.
            scheme: http or https.
            environment: settings beside, or instead of, those of the service.
            command: instead of the service's.
            files: (file or folder here, where it goes in the container).
            on_host_network: for an engine that calls a server on this machine, or that tells its clients more addresses
                than one. It listens on loopback alone.
            request: arguments of ``requests.get`` for reaching ``ready``.
        """
        described = self.services[service]
        environment = {
            name: f"{value} {QUICK_START}" if re.search(r"_JAVA_(OPTS|MEM)$", name) else value
            for name, value in {**described.environment, **(environment or {})}.items()
        }
        options: dict[str, Any] = {"mem_limit": described.memory, "labels": {LABEL: str(os.getpid())}}
        container = self._container(described)
        if on_host_network:
            port = free_port()
            environment, options["network_mode"] = {**environment, **listening(port)}, "host"
        else:
            # testcontainers' own way to publish a port opens it on every interface
            container.ports[f"{described.port}/tcp"] = (LOOPBACK,)  # type: ignore[assignment]
        container.env = dict(environment)
        container.with_kwargs(**options)
        if command or described.command:
            container.with_command(list(command or described.command or ()))
        for source, target in files:
            container.with_copy_into_container(source, target)
        self._stack.callback(container.stop)
        container.start()
        self.running[key] = container
        if not on_host_network:
            port = container.get_exposed_port(described.port)
        url = f"{scheme}://{LOOPBACK}:{port}"
        self._wait(key, url + ready, request)
        return url

    def log(self, key: str) -> str:
        """The last lines that an engine wrote."""
        text: bytes = self.running[key].get_wrapped_container().logs(tail=LOG_LINES)
        return text.decode(errors="replace")

    def stop(self) -> None:
        """Stop and remove every container."""
        self.running.clear()
        self._stack.close()

    def _container(self, service: Service) -> DockerContainer:
        with docker() as client:
            from docker.errors import ImageNotFound

            if not self.running:
                remove_leftovers(client)
            for image in (service.image, service.local_image):
                with suppress(ImageNotFound):
                    client.images.get(image)
                    from testcontainers.core.container import DockerContainer

                    return DockerContainer(image)
        unavailable(f"no image of {service.name} {service.version}")

    def _wait(self, key: str, url: str, request: Mapping[str, Any]) -> None:
        import requests

        container = self.running[key].get_wrapped_container()
        problem: object = None
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end:
            container.reload()
            if container.status == "exited":
                problem = f"it ended with {container.attrs['State']}"
                break
            try:
                reply = requests.get(url, timeout=5, **request)
            except requests.RequestException as error:
                problem = error
            else:
                if reply.ok:
                    return
                problem = f"{reply.status_code} {reply.text[:200]}"
            time.sleep(0.5)
        pytest.fail(f"{key} did not start: {problem}\n{self.log(key)}", pytrace=False)


@contextmanager
def docker() -> Iterator[Any]:
    """A Docker client; skips where there is no daemon."""
    # Read by testcontainers when it is first imported: tests talk to loopback, also inside a container or a small
    # virtual machine, and clean up themselves, since its reaper's image cannot be pulled everywhere.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", LOOPBACK)
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    try:
        import docker as library
        import testcontainers.core.container  # noqa: F401
    except ImportError as missing:
        unavailable(f"{missing.name} is not installed (pip install 'rebridge[dev]')")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the library leaves the socket of a failed attempt open
        try:
            client = library.from_env()
        except library.errors.DockerException:
            client = None
        gc.collect()
    if client is None:
        unavailable("no Docker daemon answers")
    try:
        yield client
    finally:
        client.close()


def remove_leftovers(client: Any) -> None:
    """Remove containers of sessions that were killed before they could do so."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        if not Path("/proc", container.labels[LABEL]).exists():
            container.remove(force=True, v=True)


def listening(port: int) -> dict[str, str]:
    """Settings that make an engine listen on a port of loopback; each engine reads its own of them.

    Solr's ZooKeeper listens on the port 1000 above.
    """
    return {
        "http.port": str(port),
        "transport.port": str(free_port()),
        "network.host": LOOPBACK,
        "SOLR_PORT": str(port),
        **dict.fromkeys(("SOLR_HOST", "SOLR_JETTY_HOST", "SOLR_ZK_EMBEDDED_HOST"), LOOPBACK),
    }


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
