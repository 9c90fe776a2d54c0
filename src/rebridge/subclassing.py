"""Making a user's client rerank without making it another thing.

A wrapped client is a copy of the user's own, and its class is a subclass of that client's class with the same name.
So everything that is true of the client stays true: attributes, ``isinstance``, context managers, instrumentation that
patches the class, and namespaces such as ``client.indices``, whose parent is the wrapped client.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from rebridge.bridge import Bridge
from rebridge.errors import ConfigError

ClientT = TypeVar("ClientT")

#: Entry points from the top-level package of a client's class to the connector that can wrap it.
GROUP = "rebridge.clients"

#: Makes the methods that a wrapped class overrides, given the class of the client.
Methods = Callable[[type[Any]], Mapping[str, Any]]

_classes: WeakValueDictionary[type[Any], type[Any]] = WeakValueDictionary()


def wrapped(client: ClientT, bridge: Bridge, methods: Methods) -> ClientT:
    """A copy of a client that has a bridge, as its attribute ``rebridge``.

    Args:
        client: the client. One that has a bridge already gets this one instead.
        bridge: what answers its searches.
        methods: called with the class of the client; makes the methods that its subclass overrides.

    Raises:
        ConfigError: if the client has an attribute ``rebridge`` that is none of ours.
    """
    own = getattr(client, "rebridge", None)
    if own is not None and not isinstance(own, Bridge):
        raise ConfigError(f"{type(client).__name__} has an attribute 'rebridge' already")
    copy: ClientT = _copied(client, _subclass(type(client), methods))
    copy.__dict__["rebridge"] = bridge
    return copy


def above(client: Any, name: str) -> Any:
    """The client's method as it is without wrapping. It is looked up now, so that patches of the class count."""
    made = next(kind for kind in type(client).__mro__ if "_base" in vars(kind))
    return getattr(super(made, client), name)


def stand_in(client: Any, **instead: Any) -> Any:
    """The client as its own methods see it during one call: with the same state, but for these attributes.

    Whatever a method sets, it sets on the client; and what it makes of its own class is a client, not a stand-in.
    """
    kind, names = type(client), frozenset(instead)
    made: dict[Any, type[Any]] = kind._stand_ins  # noqa: SLF001 - those of our own class
    if (kind, names) not in made:
        made[kind, names] = _stand_in_class(kind, names)
    other: Any = object.__new__(made[kind, names])
    other.__dict__ = client.__dict__
    other._rebridge_client, other._rebridge_instead = client, instead  # noqa: SLF001 - its slots
    return other


def itself(client: Any) -> Any:
    """The client, given it or a stand-in for it."""
    return getattr(client, "_rebridge_client", client)


def with_rerank_query(method: Callable[..., Any]) -> inspect.Signature:
    """A method's signature with one more keyword."""
    bare = inspect.signature(method)
    extra = inspect.Parameter("rerank_query", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None")
    parameters = list(bare.parameters.values())
    keywords = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    return bare.replace(parameters=[*(p for p in parameters if p not in keywords), extra, *keywords])


def _subclass(base: type[Any], methods: Methods) -> type[Any]:
    if issubclass(base, _Wrapped):
        return base
    made = _classes.get(base)
    if made is None:
        space = {"_base": base, "_stand_ins": {}, **methods(base)}
        made = type(base.__name__, (_Wrapped, base), _names(base) | space)
        _classes[base] = made
    return made


def _stand_in_class(kind: type[Any], names: frozenset[str]) -> type[Any]:
    space = {
        "__slots__": ("_rebridge_client", "_rebridge_instead"),
        "__new__": lambda _, *args, **kwargs: kind(*args, **kwargs),
    }
    return type(kind.__name__, (kind,), _names(kind) | space | {name: _instead(name) for name in names})


def _instead(name: str) -> property:
    """An attribute that a stand-in has instead of the client's; setting it sets the client's."""
    return property(
        lambda self: self._rebridge_instead[name],
        lambda self, value: setattr(itself(self), name, value),
        lambda self: delattr(itself(self), name),
    )


def _names(kind: type[Any]) -> dict[str, Any]:
    return {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}


class _Wrapped:
    """What wrapped clients have in common."""

    # A client that a wrapped client's class makes without our help (`type(client)(...)`) does not rerank.
    rebridge: Bridge | None = None
    _base: type[Any]
    _stand_ins: dict[Any, type[Any]]

    def __copy__(self) -> Any:
        copy = object.__new__(type(itself(self)))
        copy.__dict__.update(self.__dict__)
        return copy

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # By its name the class would be taken for the user's own, so a wrapped client is pickled as the bare one and
        # what it was wrapped with. It can be pickled where both can.
        bare = _copied(itself(self), self._base)
        bare.__dict__.pop("rebridge", None)
        if self.rebridge is None:
            return bare.__reduce_ex__(protocol)  # type: ignore[no-any-return]
        return _wrap_again, (bare, *self.rebridge.source)


def _wrap_again(bare: Any, config: Any, scorer: Any, lazy: bool) -> Any:  # noqa: FBT001 - pickle calls by position
    from rebridge.client import wrap

    return wrap(bare, config, scorer=scorer, lazy=lazy)


def _copied(client: Any, kind: type[Any]) -> Any:
    """A shallow copy of another class, with copies of the namespaces whose parent is the client."""
    packages = {_package(base) for base in type(client).__mro__} & entry_points(group=GROUP).names
    copied = object.__new__(kind)
    copies: dict[int, Any] = {id(client): copied}
    copied.__dict__.update({name: _adopted(value, copies, packages) for name, value in client.__dict__.items()})
    return copied


def _adopted(value: Any, copies: dict[int, Any], packages: set[str]) -> Any:
    """What stands in the copied client in place of a value: a copy of a namespace, else the value itself.

    Namespaces are objects of the client's own package that point to the client. What users hung on their client stays
    what it is, even if it points there too.
    """
    if id(value) in copies:
        return copies[id(value)]
    inside = getattr(value, "__dict__", None)
    if not isinstance(inside, dict) or isinstance(value, type) or _package(type(value)) not in packages:
        return value
    if not any(id(attribute) in copies for attribute in inside.values()):
        return value
    copied = copies[id(value)] = object.__new__(type(value))
    copied.__dict__.update({name: _adopted(attribute, copies, packages) for name, attribute in inside.items()})
    return copied


def _package(kind: type[Any]) -> str:
    return kind.__module__.partition(".")[0]
