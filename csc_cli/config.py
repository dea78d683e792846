"""Strict YAML into frozen dataclasses, which are the only home of a default.

Plain `yaml.safe_load` is not enough: it reads `1e-3` as a string and `on` as true, and keeps the
last of two equal keys. Here the dataclass's annotation decides the type, and every fault is
named with file, line and the nearest right key.
"""

from __future__ import annotations

import dataclasses
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
    return loads(kind, text, str(path), overrides)


def loads(kind: type[Config], text: str, name: str = "config", overrides: Sequence[str] = ()) -> Config:
    """As `load`, from the text itself; `name` stands for the file in messages."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise ConfigError(at(name, line, f"not valid YAML: {getattr(error, 'problem', error)}")) from error
    if root is None:
        root = yaml.MappingNode("tag:yaml.org,2002:map", [])
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


def _override(root: yaml.Node, override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not all(path.split(".")):
        raise ConfigError(f"--set {override}: write part.key=value")
    value = yaml.compose(text, Loader=yaml.SafeLoader) or yaml.ScalarNode("tag:yaml.org,2002:null", "null")
    _mark(value, f"--set {override}")
    node = root
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        child = _child(node, key)
        if child is None:
            child = yaml.MappingNode("tag:yaml.org,2002:map", [])
            _set(node, key, child, f"--set {override}")
        if not isinstance(child, yaml.MappingNode):
            raise ConfigError(f"--set {override}: '{'.'.join(parents[: depth + 1])}' is a value, not a part")
        node = child
    _set(node, last, value, f"--set {override}")


def _mark(node: yaml.Node, origin: str) -> None:
    node.origin = origin  # type: ignore[attr-defined]
    for child in node.value if not isinstance(node.value, str) else ():
        for part in child if isinstance(child, tuple) else (child,):
            _mark(part, origin)


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _set(node: yaml.Node, key: str, value: yaml.Node, origin: str) -> None:
    name = yaml.ScalarNode("tag:yaml.org,2002:str", key)
    _mark(name, origin)
    node.value = [pair for pair in node.value if pair[0].value != key] + [(name, value)]


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
        key = str(key_node.value)
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
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            if type(None) in arguments:
                return None
        others = [argument for argument in arguments if argument is not type(None)]
        return _convert(others[0], node, name, key)
    if origin is tuple:
        if not isinstance(node, yaml.SequenceNode):
            raise _error(node, name, f"'{key}' must be a list, such as [1, 2]")
        items = arguments[:1] * len(node.value) if arguments[-1] is Ellipsis else arguments
        if len(items) != len(node.value):
            raise _error(node, name, f"'{key}' must have {len(items)} values, not {len(node.value)}")
        return tuple(_convert(item, value, name, key) for item, value in zip(items, node.value, strict=True))
    if not isinstance(node, yaml.ScalarNode):
        raise _error(node, name, f"'{key}' must be {_spell(hint)}")
    return _scalar(hint, origin, arguments, node, name, key)


def _scalar(hint: Any, origin: Any, arguments: tuple, node: yaml.ScalarNode, name: str, key: str) -> Any:
    text = node.value
    if origin is typing.Literal:
        if text not in arguments:
            raise _error(node, name, f"'{key}: {text}' is not one of {', '.join(map(str, arguments))}")
        return text
    if hint is bool:
        if text not in ("true", "false"):
            raise _error(node, name, f"'{key}: {text}' must be true or false")
        return text == "true"
    if hint is str:
        return text
    try:
        number = hint(text)
    except ValueError:
        raise _error(node, name, f"'{key}: {text}' must be {_spell(hint)}") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise _error(node, name, f"'{key}: {text}' must be a finite number")
    return number


def _spell(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if dataclasses.is_dataclass(hint):
        return "a block of keys"
    return words.get(hint, str(hint).replace("typing.", ""))
