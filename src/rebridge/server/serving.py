"""`Server`: what ``rebridge serve`` runs. One parent, which holds the sockets; workers; and the process of the models.

The client library of Prometheus looks at the environment when it is imported, so whatever imports it is imported late.
"""

from __future__ import annotations

import logging
import logging.config
import multiprocessing
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError, RebridgeError
from rebridge.scorers import DEFAULT_MODEL
from rebridge.scorers.sections import open_section
from rebridge.server.folders import private_folder, sweep
from rebridge.server.logs import log_config
from rebridge.server.models.supervisor import Supervisor
from rebridge.server.pipelines import keep_pipelines, model_table, open_bridges, playground_pipelines, read_pipelines
from rebridge.server.plan import Plan
from rebridge.server.settings import ModelSettings, ServerSettings, TlsSettings, changed, is_local
from rebridge.server.sockets import bind, port

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from rebridge.server.metrics import Metrics

#: Where processes write their numbers; the variable is that of Prometheus' client library.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_log = logging.getLogger("rebridge")


class Server:
    """The server of these settings.

    Args:
        settings: what to serve.
        configs: folder of the pipeline files; None as everywhere.

    Raises:
        ConfigError: if a pipeline file or a certificate is wrong.
    """

    def __init__(self, settings: ServerSettings, configs: Path | None = None) -> None:
        if not settings.models and not settings.proxies:
            settings = changed(settings, models={DEFAULT_MODEL: ModelSettings()})
        self.settings = settings
        self.configs = configs
        self.pipelines = read_pipelines(settings, configs)
        searched = playground_pipelines(settings, configs, self.pipelines)
        self.table = model_table(settings, self.pipelines, searched)
        open_bridges(settings, configs, open_section)  # nothing is opened yet, but what does not fit together is told
        if settings.tls:
            _check_tls(settings.tls)

    def run(self, say: Callable[[str], None]) -> None:
        """Serve until a signal ends it.

        Args:
            say: tells the person who started it what is served where.

        Raises:
            ConfigError: if a port cannot be had.
            SystemExit: if the workers cannot start.
        """
        settings, draining = self.settings, multiprocessing.get_context("spawn").Event()
        with ExitStack() as stack:
            sockets = bind((settings.listen, *(proxy.listen for proxy in settings.proxies)))
            for bound in sockets:
                stack.enter_context(closing(bound))
            logs = log_config(settings.log.format, settings.log.level)
            logging.config.dictConfig(logs)
            sweep()
            own = Path(stack.enter_context(private_folder()))
            (own / "metrics").mkdir()
            os.environ[FOLDER] = str(own / "metrics")
            keep_pipelines(self.configs, own / "configs")
            from rebridge.server.front import Front, front_config
            from rebridge.server.metrics import Metrics

            metrics = Metrics()
            supervisor = Supervisor(
                self.table,
                memory_budget_mb=settings.memory_budget_mb,
                queue=settings.limits.queue,
                logging=logs,
                on_restart=metrics.scorer_restarts.inc,
            )
            stack.callback(supervisor.stop)
            supervisor.start()
            ports = tuple(map(port, sockets))
            with suppress(OSError):  # a full disk, or nobody who reads, must not keep the server from serving
                for line in self._announcement(ports):
                    say(line)
            plan = Plan(settings, own / "configs", ports, supervisor.socket, draining)
            reload = partial(self._reload, supervisor, metrics, own / "configs")
            config = front_config(settings, partial(_worker, plan))
            Front(config, sockets, draining, settings.limits.drain_delay_s, reload).run()

    def _reload(self, supervisor: Supervisor, metrics: Metrics, kept: Path) -> bool:
        """Prepare the reload of the workers; says whether the files are right."""
        try:
            open_bridges(self.settings, self.configs, open_section)
            pipelines = read_pipelines(self.settings, self.configs)
            searched = playground_pipelines(self.settings, self.configs, pipelines)
            supervisor.update(model_table(self.settings, pipelines, searched))
        except RebridgeError as error:
            metrics.reload_failures.inc()
            _log.error("pipelines not reloaded, the old ones stay: %s", error)
            return False
        keep_pipelines(self.configs, kept)
        return True

    def _announcement(self, ports: tuple[int, ...]) -> Iterator[str]:
        """What listens where, with which pipelines and models."""
        settings, scheme = self.settings, "https" if self.settings.tls else "http"
        api, *others = (
            f"{scheme}://{listen.rpartition(':')[0]}:{number}"
            for listen, number in zip(
                (settings.listen, *(proxy.listen for proxy in settings.proxies)), ports, strict=True
            )
        )
        yield f"rerank API: {api} (docs: {api}/docs)"
        if settings.has_playground:
            yield f"playground: {api}/"
        announced = model_table(settings, self.pipelines)  # and not what only the playground may ask for
        yield f"models: {', '.join(model.name for model in announced.models) or 'none'}"
        for proxy, place in zip(settings.proxies, others, strict=True):
            yield f"{proxy.engine}: {place} -> {proxy.url}, pipelines: {', '.join(self.pipelines[proxy.engine])}"
        if not is_local(settings.listen) and not settings.api_keys:
            _log.warning("%s can be reached by other machines, and no api_keys guard it", settings.listen)


def _worker(plan: Plan) -> ASGIApp:
    """The application of a worker, whose packages the parent need not load."""
    from rebridge.server.app import make_worker

    return make_worker(plan)


def _check_tls(tls: TlsSettings) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls: {tls.certificate} and {tls.key} are no certificate and its key: {error}") from error
