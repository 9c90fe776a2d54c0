"""The pipelines of proxied engines, which a reload replaces as a whole while searches run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copyfile
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from rebridge import connector as connectors
from rebridge.bridge import Bridge
from rebridge.config import PipelineConfig
from rebridge.config_files import available, load_config
from rebridge.errors import ConfigError, RebridgeError, UnknownModel
from rebridge.server.models.table import ModelTable
from rebridge.server.settings import ServerSettings

if TYPE_CHECKING:
    from rebridge.server.metrics import Metrics
    from rebridge.shared_scorers import Opener

_log = logging.getLogger("rebridge")


def read_pipelines(settings: ServerSettings, configs: Path | None) -> dict[str, dict[str, PipelineConfig]]:
    """The pipelines by engine and by name, of the engines that have a proxy.

    Raises:
        ConfigError: if a file is wrong.
    """
    engines: dict[str, dict[str, PipelineConfig]] = {proxy.engine: {} for proxy in settings.proxies}
    for name in available(configs) if engines else ():
        config = load_config(name, configs)
        if config.connector.name in engines:
            engines[config.connector.name][name] = config
    return engines


def playground_pipelines(
    settings: ServerSettings, configs: Path | None, proxied: Mapping[str, Mapping[str, PipelineConfig]]
) -> dict[str, PipelineConfig]:
    """The pipelines of the playground: those of proxies, then all others, the demo's last; none where it is off.

    Others that cannot be read, or whose connector is not installed, are left out.
    """
    if not settings.has_playground:
        return {}
    found = {name: config for some in proxied.values() for name, config in some.items()}
    for name in sorted(available(configs), key=lambda name: (name == "demo", name)):
        if name not in found:
            try:
                found[name] = load_config(name, configs)
            except RebridgeError as error:
                _log.info("not in the playground: %s: %s", name, error)
    return found


def keep_pipelines(configs: Path | None, folder: Path) -> None:
    """Copy the pipeline files, which were just found right, to where workers read them.

    A worker that is started later then finds no files that somebody is about to edit. The copies are replaced at once.

    Args:
        configs: the folder of the pipeline files; None as everywhere.
        folder: where the copies go, in a folder of our own.
    """
    fresh = Path(mkdtemp(dir=folder.parent))
    for name, file in available(configs).items():
        copyfile(file, fresh / f"{name}.yaml")
    link = fresh.with_suffix(".link")
    link.symlink_to(fresh)
    link.replace(folder)


def model_table(
    settings: ServerSettings,
    pipelines: Mapping[str, Mapping[str, PipelineConfig]],
    playground: Mapping[str, PipelineConfig] | None = None,
) -> ModelTable:
    """The models that the server holds: those of its settings, and those that the pipelines may use.

    Those of proxies are loaded at start, so that no first search is degraded because of that; those that only the
    playground needs are loaded when it is used.

    Raises:
        ConfigError: if there is no model of the default's name.
    """
    configs = [config for some in pipelines.values() for config in some.values()]
    sections = [
        section
        for config in configs
        for section in (config.scorer, *config.fallbacks, *config.overrides.models.values())
        if section.kind == "local"
    ]
    table = ModelTable.of(settings.models, settings.default_model).with_sections(sections, preload=True)
    more = [section for config in (playground or {}).values() for section in (config.scorer, *config.fallbacks)]
    table = table.with_sections([section for section in more if section.kind == "local"])
    if settings.default_model is not None:
        try:
            table.find(settings.default_model)
        except UnknownModel as error:
            raise ConfigError(f"default_model: {error}") from error
    return table


def open_bridges(settings: ServerSettings, configs: Path | None, opener: Opener) -> dict[str, Bridge]:
    """The bridge of each engine that has a proxy; their models are opened when they are first used.

    Raises:
        ConfigError: if a file is wrong, or an engine has no pipeline.
    """
    engines = {proxy.engine for proxy in settings.proxies}
    return {engine: Bridge(connectors.load(engine), configs, lazy=True, opener=opener) for engine in sorted(engines)}


class LivePipelines:
    """The bridge of each proxied engine, as its pipeline files say now.

    Args:
        opener: reads the files and makes the bridges, by engine.
        metrics: where reloads are counted.
        grace_s: how long searches that run keep the bridges that were replaced, seconds.

    Raises:
        ConfigError: if a pipeline file is wrong.
    """

    def __init__(self, opener: Callable[[], Mapping[str, Bridge]], metrics: Metrics, grace_s: float) -> None:
        self._opener = opener
        self._metrics = metrics
        self._grace_s = grace_s
        self._bridges = opener()
        self._reloading = asyncio.Lock()

    def bridge(self, engine: str) -> Bridge:
        """The bridge for a search that begins now."""
        return self._bridges[engine]

    async def reload(self) -> bool:
        """Read the files again. With an error in one of them everything stays as it is.

        Returns:
            whether it worked.
        """
        async with self._reloading:
            try:
                bridges = await asyncio.to_thread(self._opener)
            except RebridgeError as error:
                self._metrics.reload_failures.inc()
                _log.error("pipelines not reloaded, the old ones stay: %s", error)
                return False
            old, self._bridges = self._bridges, bridges
        self._metrics.reloads.inc()
        _log.info("pipelines reloaded")
        loop = asyncio.get_running_loop()
        # In a thread: closing waits for what still runs, and the loop must not.
        loop.call_later(self._grace_s, loop.run_in_executor, None, _close, old)
        return True

    def close(self) -> None:
        """Free what the bridges hold."""
        _close(self._bridges)


def _close(bridges: Mapping[str, Bridge]) -> None:
    for bridge in bridges.values():
        bridge.close()
