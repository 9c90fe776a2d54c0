"""Making a user's client rerank without making it another thing.

A wrapped client is a copy of the user's own, and its class is a subclass of that client's class with the same name.
So everything that is true of the client stays true: attributes, ``isinstance``, context managers, instrumentation that
patches the class, and namespaces such as ``client.indices``, whose parent is the wrapped client.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from rebridge.bridge import Bridge
from rebridge.errors import ConfigError

ClientT = TypeVar("ClientT")

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
        space = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        made = type(base.__name__, (_Wrapped, base), space | {"_base": base} | dict(methods(base)))
        _classes[base] = made
    return made


class _Wrapped:
    """What wrapped clients have in common."""

    # A client that a wrapped client's class makes without our help (`type(client)(...)`) does not rerank.
    rebridge: Bridge | None = None
    _base: type[Any]

    def __copy__(self) -> Any:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # By its name the class would be taken for the user's own, so a wrapped client is pickled as the bare one and
        # what it was wrapped with. It can be pickled where both can.
        bare = _copied(self, self._base)
        bare.__dict__.pop("rebridge", None)
        if self.rebridge is None:
            return bare.__reduce_ex__(protocol)  # type: ignore[no-any-return]
        return _wrap_again, (bare, *self.rebridge.source)


def _wrap_again(bare: Any, config: Any, scorer: Any, lazy: bool) -> Any:  # noqa: FBT001 - pickle calls by position
    from rebridge.client import wrap

    return wrap(bare, config, scorer=scorer, lazy=lazy)


def _copied(client: Any, kind: type[Any]) -> Any:
    """A shallow copy of another class, with copies of the namespaces whose parent is the client."""
    copy = object.__new__(kind)
    copies: dict[int, Any] = {id(client): copy}
    copy.__dict__.update({name: _adopted(value, copies) for name, value in client.__dict__.items()})
    return copy


def _adopted(value: Any, copies: dict[int, Any]) -> Any:
    """The copy that belongs into the copied client; the value itself if it does not point to the client."""
    if id(value) in copies:
        return copies[id(value)]
    inside = getattr(value, "__dict__", None)
    # Plain objects only: what has slots, or makes its attributes up, is no namespace.
    if not isinstance(inside, dict) or isinstance(value, type):
        return value
    if not any(id(attribute) in copies for attribute in inside.values()):
        return value
    copy = copies[id(value)] = object.__new__(type(value))
    copy.__dict__.update({name: _adopted(attribute, copies) for name, attribute in inside.items()})
    return copy
