"""The commands of `rebridge native`, run in this process."""

from __future__ import annotations

from tests.connectors.standin import StandIn
from typer.testing import CliRunner, Result

from rebridge.cli import app

BRIDGE = "http://bridge:8080"


def rebridge(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, ["native", *arguments])


def opensearch(engine: StandIn, *options: str, server: str = BRIDGE) -> Result:
    """Install into OpenSearch."""
    where = ["--url", engine.url, "--server", server, "--pipeline", "p", "--field", "title", "--field", "body"]
    return rebridge("install", "opensearch", *where, *options)


def elasticsearch(engine: StandIn, *options: str, server: str = BRIDGE) -> Result:
    """Install into Elasticsearch."""
    return rebridge(
        "install", "elasticsearch", "--url", engine.url, "--server", server, "--inference-id", "b", *options
    )
