"""The documentation of the running Python's standard library, as documents to search: it needs no download.

The interpreter is asked itself. Importing every module of the standard library would leave traces in the caller's
process, so this file runs itself as a script in a second, isolated interpreter (no site-packages, no environment
variables, no input) that imports the modules, prints what it found and ends. It therefore imports nothing of rebridge
at its top.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

# Jokes, GUI toolkits, programs, internals of the build, and the modules behind `os` and `os.path`, whose names nobody
# types. `readline` and what imports it change the terminal.
SKIPPED = frozenset(
    {
        *("antigravity", "distutils", "encodings", "ensurepip", "genericpath", "idlelib", "lib2to3", "nt", "ntpath"),
        *("posix", "posixpath", "pydoc_data", "readline", "rlcompleter", "this", "tkinter", "turtle", "turtledemo"),
    }
)
TESTS = frozenset({"test", "tests"})

# `-S` keeps the code in `*.pth` files from running; `-X utf8` makes docstrings independent of the locale.
ISOLATED = ("-I", "-S", "-W", "ignore", "-X", "utf8")
TIMEOUT_S = 120.0  # it takes about one second; more where Python has no compiled files yet

# What Python writes into docstrings by itself: the bare signature of data classes, named tuples and syntax nodes, the
# fields of named tuples, and the line that every C constructor shares.
GENERATED = re.compile(r"[\w.]+(\([^()]*\))?|Alias for field number \d+|Initialize self\. .*")
LONGEST_DEFAULT = 40

INHERITED, ALIAS = 1, 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented object under one of its names.

    Attributes:
        module: the public module, e.g. ``threading``.
        member: the name in that module, e.g. ``Thread.join``; empty for the module itself.
        kind: ``module``, ``class``, ``function``, ``method`` or ``property``.
        signature: e.g. ``(timeout=None)``; empty if there is none.
        text: the cleaned docstring.
        distance: from the object to this name: 0 for its own, 1 if it is inherited, 2 for an alias.
    """

    module: str
    member: str
    kind: str
    signature: str
    text: str
    distance: int = 0

    @property
    def name(self) -> str:
        """The qualified name as one writes it: what is in `builtins` needs no module."""
        module = "" if self.module == "builtins" and self.member else self.module
        return ".".join(filter(None, (module, self.member)))

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of several names for one text, the lowest is the one to show."""
        return self.distance, self.name.count("."), self.name


def documents() -> Iterator[tuple[str, dict[str, str]]]:
    """What the standard library's modules, classes, functions, methods and properties say about themselves.

    Private names, objects without a docstring of their own and generated docstrings are left out. A text that several
    objects share appears once, under the shortest public name.

    Yields:
        (id, fields), sorted by id, which is the qualified name. The fields are ``name``, ``title`` (name and
        signature), ``text``, ``module`` and ``kind``; all are text.

    Raises:
        RebridgeError: if the second interpreter fails.
    """
    from rebridge.errors import RebridgeError

    command = [sys.executable, *ISOLATED, str(Path(__file__).resolve())]
    try:
        # The command is this interpreter and this very file.
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        evidence = (getattr(error, "stderr", None) or b"").decode(errors="replace")[-500:]
        raise RebridgeError(f"Python's own documentation could not be read: {error}. {evidence}".rstrip()) from error
    for line in child.stdout.splitlines():
        doc_id, fields = json.loads(line)
        yield doc_id, fields


def entries() -> list[Entry]:
    """Import the standard library and collect what it documents, one entry per text, sorted by name."""
    found = dict(public_modules())
    best: dict[str, Entry] = {}
    for entry in _all_entries(found):
        known = best.get(entry.text)
        if known is None or entry.rank < known.rank:
            best[entry.text] = entry
    return sorted(best.values(), key=lambda entry: entry.name)


def public_modules() -> Iterator[tuple[str, ModuleType]]:
    """Import every public module of the standard library that this platform has, as (name, module)."""
    top_level = sorted(name for name in sys.stdlib_module_names - SKIPPED - TESTS if not name.startswith("_"))
    waiting = [*top_level, "os.path"]  # the one submodule that is not in a package
    while waiting:
        name = waiting.pop(0)
        try:
            module = importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 - modules of other platforms fail in their own ways
            continue
        yield name, module
        children = (child.name for child in pkgutil.iter_modules(getattr(module, "__path__", ())))
        waiting += [f"{name}.{child}" for child in children if not child.startswith("_") and child not in TESTS]


def _all_entries(modules: dict[str, ModuleType]) -> Iterator[Entry]:
    for module_name, module in modules.items():
        text = _clean(module.__doc__)
        if text:
            yield Entry(module_name, "", "module", "", text)
        for name, thing in _public_members(module_name, module):
            distance = ALIAS if getattr(thing, "__name__", name) != name else 0
            if inspect.isclass(thing):
                yield from _class_entries(module_name, name, thing, distance)
            elif text := _clean(thing.__doc__):
                yield Entry(module_name, name, "function", _signature(thing, text), text, distance)


def _public_members(module_name: str, module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Classes and functions that a module offers: those in its ``__all__``, else those that it defines."""
    declared: Iterable[str] | None = getattr(module, "__all__", None)
    for name in sorted(vars(module) if declared is None else declared):
        thing = getattr(module, name, None)
        if name.startswith("_") or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        if declared is not None or _defined_in(module_name, thing):
            yield name, thing


def _defined_in(module_name: str, thing: object) -> bool:
    """Whether an object belongs to a module: defined in it, next to it, or in a private module that it wraps."""
    owner = getattr(thing, "__module__", None) or ""
    same_package = owner.partition(".")[0] == module_name.partition(".")[0]
    return same_package or module_name == "builtins" or _is_private(owner)


def _is_private(dotted_name: str) -> bool:
    return any(part.startswith("_") for part in dotted_name.split("."))


def _class_entries(module: str, name: str, cls: type, distance: int) -> Iterator[Entry]:
    own = vars(cls)
    constructor = own.get("__init__")
    parts = (_clean(cls.__doc__ if "__doc__" in own else None), _clean(getattr(constructor, "__doc__", None)))
    if text := "\n\n".join(filter(None, parts)):
        yield Entry(module, name, "class", _signature(cls, text), text, distance)
    # A private base class has no name of its own in the documentation: its methods appear under the public class.
    bases = [base for base in cls.__mro__[1:] if _is_private(f"{base.__module__}.{base.__qualname__}")]
    seen = set()
    for owner in (cls, *bases):
        for member, raw in sorted(vars(owner).items()):
            if member.startswith("_") or member in seen or not (found := _member(cls, member, raw)):
                continue
            seen.add(member)
            kind, signature, text = found
            yield Entry(module, f"{name}.{member}", kind, signature, text, distance or (owner is not cls) * INHERITED)


def _member(cls: type, member: str, raw: object) -> tuple[str, str, str] | None:
    """Kind, signature and text of a class member; None if it documents nothing."""
    is_property = inspect.isdatadescriptor(raw) or isinstance(raw, cached_property)
    text = _clean(raw.__doc__) if is_property or inspect.isroutine(raw) else ""
    if not text:
        return None
    if is_property:
        return "property", "", text
    takes_self = not isinstance(raw, staticmethod | classmethod)
    return "method", _signature(getattr(cls, member, raw), text, takes_self=takes_self), text


def _clean(docstring: object) -> str:
    """A docstring without indentation; empty if there is none or nobody wrote it."""
    text = inspect.cleandoc(docstring).strip() if isinstance(docstring, str) else ""
    return "" if GENERATED.fullmatch(text) else text


class _Dots:
    """Stands for a default value that is no use to a reader, such as an address in memory."""

    def __repr__(self) -> str:
        return "..."


def _signature(thing: Any, text: str, *, takes_self: bool = False) -> str:
    """The parameters without annotations, else what the docstring's first line says; empty if neither is known."""
    try:
        parameters = list(inspect.signature(thing).parameters.values())
    except Exception:  # noqa: BLE001 - the text of C signatures is evaluated, which can fail in any way
        first_line = text.partition("\n")[0]
        name = re.escape(getattr(thing, "__name__", ""))
        match = re.fullmatch(rf"(?:\w+\.)*{name}(\(.*?\))(?:\s*(?:->|--|:).*)?", first_line)
        return match[1] if match else ""
    if takes_self and parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        parameters = parameters[1:]
    return str(inspect.Signature([_plain(parameter) for parameter in parameters]))


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter without annotation, and with a default that is the same in every run."""
    shown = repr(parameter.default)
    unreadable = parameter.default is not inspect.Parameter.empty and ("<" in shown or len(shown) > LONGEST_DEFAULT)
    default = _Dots() if unreadable else parameter.default
    return parameter.replace(annotation=inspect.Parameter.empty, default=default)


def _main() -> None:
    """Print every document as a line of JSON, on the standard output that the imports no longer reach."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for entry in entries():
            title = f"{entry.name}{entry.signature}"
            fields = {"name": entry.name, "title": title, "text": entry.text}
            fields |= {"module": entry.module, "kind": entry.kind}
            output.write(json.dumps([entry.name, fields]) + "\n")


if __name__ == "__main__":
    _main()
