"""Strict YAML into frozen dataclasses, which are the only home of a default.

Plain `yaml.safe_load` is not enough: it reads `1e-3` as a string and `on` as true, and keeps the
last of two equal keys. Here the dataclass's annotation decides the type, and every fault is
named with file, line and the nearest right key.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from csc_cli.errors import ConfigError, at, nearest

Config = TypeVar("Config")


def load(kind: type[Config], path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read `path` into the dataclass `kind`; `overrides` are `part.key=value` strings, applied last.

    Raises:
        ConfigError: unknown, doubled or missing key, wrong type, impossible value, unreadable file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot read the config: not UTF-8 text (byte {error.start})") from error
    return loads(kind, text, str(path), overrides)


def loads(kind: type[Config], text: str, name: str = "config", overrides: Sequence[str] = ()) -> Config:
    """As `load`, from the text itself; `name` stands for the file in messages."""
    root = _compose(text, name)
    if root is None or _is_null(root):
        root = _block()
    if not isinstance(root, yaml.MappingNode):
        raise _error(root, name, "a config is a block of `key: value` lines")
    for override in overrides:
        _override(root, override)
    return _build(kind, root, name, "")


def to_dict(config: Any) -> dict[str, Any]:
    """The complete, resolved settings as plain values (tuples become lists)."""
    return _plain(dataclasses.asdict(config))


def dumps(config: Any) -> str:
    """The complete, resolved settings as YAML that `loads` reads back equal."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, default_flow_style=None)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"not valid YAML: {getattr(error, 'problem', None) or error}"
        raise ConfigError(at(name, mark.line + 1 if mark else None, message)) from error
    except RecursionError:
        raise ConfigError(f"{name}: not valid YAML: nested too deeply") from None


def _block() -> yaml.MappingNode:
    return yaml.MappingNode("tag:yaml.org,2002:map", [])


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _override(root: yaml.MappingNode, override: str) -> None:
    origin = f"--set {override}"
    path, equals, text = override.partition("=")
    if not equals or not all(path.split(".")):
        raise ConfigError(f"{origin}: write part.key=value")
    value = _compose(text, origin) or yaml.ScalarNode("tag:yaml.org,2002:null", "")
    try:
        _mark(value, origin)
    except RecursionError:
        raise ConfigError(f"{origin}: a value that holds itself") from None
    node = root
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        child = _child(node, key)
        if child is None or _is_null(child):
            child = _block()
            _set(node, key, child, origin)
        if not isinstance(child, yaml.MappingNode):
            raise ConfigError(f"{origin}: '{'.'.join(parents[: depth + 1])}' is a value, not a part")
        node = child
    _set(node, last, value, origin)


def _mark(node: yaml.Node, origin: str) -> None:
    node.origin = origin  # type: ignore[attr-defined]
    for child in node.value if not isinstance(node.value, str) else ():
        for part in child if isinstance(child, tuple) else (child,):
            _mark(part, origin)


def _child(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _set(node: yaml.MappingNode, key: str, value: yaml.Node, origin: str) -> None:
    """Replace the value of `key` where it stands, so that a key given twice is still seen as such."""
    for index, (name, _) in enumerate(node.value):
        if name.value == key:
            node.value[index] = (name, value)
            return
    name = yaml.ScalarNode("tag:yaml.org,2002:str", key)
    _mark(name, origin)
    node.value.append((name, value))


def _error(node: yaml.Node, name: str, message: str) -> ConfigError:
    origin = getattr(node, "origin", None)
    if origin:
        return ConfigError(f"{origin}: {message}")
    return ConfigError(at(name, node.start_mark.line + 1 if node.start_mark else None, message))


def _build(kind: type[Config], node: yaml.Node, name: str, prefix: str) -> Config:
    if not isinstance(node, yaml.MappingNode):
        raise _error(node, name, f"'{prefix.rstrip('.')}' must be a block of keys")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error(key_node, name, "a key must be a plain name")
        if key not in fields:
            raise _error(key_node, name, f"unknown key '{prefix}{key}'; {nearest(key, fields)}")
        if key in values:
            raise _error(key_node, name, f"key '{prefix}{key}' is given twice; keep one")
        values[key] = _convert(hints[key], value_node, name, prefix + key)
    for key, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if key not in values and not has_default:
            raise _error(node, name, f"missing key '{prefix}{key}' ({_spell(hints[key])}); add it")
    try:
        return kind(**values)
    except ConfigError as error:
        raise _error(node, name, f"{prefix}{error}") from error


def _convert(hint: Any, node: yaml.Node, name: str, key: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, node, name, key + ".")  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, node, name, key)
    if origin is tuple:
        if not isinstance(node, yaml.SequenceNode):
            raise _error(node, name, f"'{key}' must be a list, such as [1, 2]")
        items = arguments[:1] * len(node.value) if arguments[-1] is Ellipsis else arguments
        if len(items) != len(node.value):
            raise _error(node, name, f"'{key}' must have {len(items)} values, not {len(node.value)}")
        return tuple(_convert(item, value, name, key) for item, value in zip(items, node.value, strict=True))
    if not isinstance(node, yaml.ScalarNode):
        raise _error(node, name, f"'{key}' must be {_spell(hint)}")
    return _scalar(hint, node, name, key)


def _union(arguments: tuple[Any, ...], node: yaml.Node, name: str, key: str) -> Any:
    """The value as one of the types that takes it; where none does, the error of one that a list or value is like."""
    if _is_null(node) and type(None) in arguments:
        return None
    kinds = [argument for argument in arguments if argument is not type(None)]
    is_list = isinstance(node, yaml.SequenceNode)
    *others, last = sorted(kinds, key=lambda kind: (typing.get_origin(kind) is tuple) == is_list)
    for argument in others:
        try:
            return _convert(argument, node, name, key)
        except ConfigError:
            continue
    return _convert(last, node, name, key)


def _scalar(hint: Any, node: yaml.ScalarNode, name: str, key: str) -> Any:
    text = node.value
    if typing.get_origin(hint) is typing.Literal:
        known = {str(value): value for value in typing.get_args(hint)}
        if text not in known:
            raise _error(node, name, f"'{key}: {text}' is not one of {', '.join(known)}")
        return known[text]
    quoted = node.style is not None
    # An empty or null value is no text, a quoted number is no number: each is more likely a slip.
    if (_is_null(node) and not quoted) or (quoted and hint is not str):
        raise _error(node, name, f"'{key}: {text}' must be {_spell(hint)}{', without quotes' if quoted else ''}")
    if hint is str:
        return text
    if hint is bool:
        if text not in ("true", "false"):
            raise _error(node, name, f"'{key}: {text}' must be true or false")
        return text == "true"
    try:
        number = hint(text)
    except ValueError:
        raise _error(node, name, f"'{key}: {text}' must be {_spell(hint)}") from None
    if not math.isfinite(number):
        raise _error(node, name, f"'{key}: {text}' must be a finite number")
    return number


def _spell(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    if dataclasses.is_dataclass(hint):
        return "a block of keys"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(_spell, typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return "a list"
    return words.get(hint, str(hint))
