"""The parameters of the authorization node, and the rules that follow from them and from its file."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evse_manager.authorization.config import CarOrder, KnownToken, Rules, UnknownTokens, token_list
from evse_manager.depot.site import Authorization, Site
from evse_manager.depot.site_file import SiteFileError, load_site, parse_authorization, read_site_file
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import Time


@dataclass(frozen=True, slots=True)
class AuthorizationConfig:
    """Parameters of the ``authorization`` node."""

    site_file: str = parameter(
        '', 'Site file with the connectors and the section authorization (empty = none).'
    )
    tokens_file: str = parameter(
        '',
        'YAML file with what stands below authorization in a site file, where there is none (empty = none).',
    )
    connectors: str = parameter(
        '',
        'Namespaces of the connectors, separated by commas; empty = those of the site file, or all that are '
        "found below the node's namespace.",
    )
    connection_timeout_s: float = parameter(
        0.0,
        "How long a token waits for a car, and an authorization for a transaction; 0 = the file's, else 60.",
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    plug_in_timeout_s: float = parameter(
        0.0,
        'After this a waiting car takes no token that names no connector; 0 = never.',
        unit='s',
        minimum=0.0,
        maximum=86400.0,
    )
    unknown_tokens: str = parameter(
        'reject',
        'What becomes of tokens that are not in the list: reject, or ask the service validate_token.',
        choices=tuple(each.value for each in UnknownTokens),
    )
    validate_timeout_s: float = parameter(
        5.0, 'How long validate_token is waited for.', unit='s', minimum=0.1, maximum=60.0
    )
    car_order: str = parameter(
        'first_plugged',
        'Which of several waiting cars takes a token that names no connector.',
        choices=tuple(each.value for each in CarOrder),
    )
    prefer_start: bool = parameter(
        True, 'Whether a token of the same group stops a transaction only where none can start.'
    )
    stop_on_same_token: bool = parameter(
        True, 'Whether a token that is presented again at its own transaction stops it.'
    )
    repeat_s: float = parameter(
        1.0,
        'The same token within this time is still the same presentation and stops nothing.',
        unit='s',
        minimum=0.0,
        maximum=60.0,
    )
    accept_prevalidated: bool = parameter(
        False, 'Whether a token that is not in the list but says that it was validated is accepted.'
    )
    master_group: str = parameter(
        '', 'Tokens with this parent stop any transaction and start none (empty = no such group).'
    )
    store: str = parameter(
        'auto',
        'File of what is remembered; auto = by namespace below ROS_HOME, empty = memory only.',
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """The parameters, evaluated: rules, connectors (empty = look for them), warnings for the log."""

    rules: Rules
    connectors: tuple[str, ...]
    warnings: tuple[str, ...]


def setup(config: AuthorizationConfig, namespace: str) -> Setup:
    """
    Read the files and return the setup; ``namespace`` is the site's.

    Raises ValueError, for people, when a file can't be used or the parameters contradict each other.
    """
    if config.site_file and config.tokens_file:
        raise ValueError(
            'site_file and tokens_file are both set; the site file has the tokens, drop the other.'
        )
    rights = Authorization(60.0, (), ())
    connectors: tuple[str, ...] = ()
    by_name: dict[str, str] = {}
    if config.site_file:
        site = _read_site(config.site_file)
        rights = site.authorization
        connectors = tuple(each.namespace for each in site.connectors)
        by_name = {each.name: each.namespace for each in site.connectors}
    elif config.tokens_file:
        rights = _read_tokens(config.tokens_file)
    if config.connectors:
        connectors = tuple(absolute(name, namespace) for name in config.connectors.split(',') if name.strip())
    rules = Rules(
        tokens=token_list(_known(rights, by_name, namespace)),
        unknown=UnknownTokens(config.unknown_tokens),
        connection_timeout_s=config.connection_timeout_s or rights.connection_timeout_s,
        plug_in_timeout_s=config.plug_in_timeout_s,
        validate_timeout_s=config.validate_timeout_s,
        repeat_s=config.repeat_s,
        car_order=CarOrder(config.car_order),
        prefer_start=config.prefer_start,
        stop_on_same_token=config.stop_on_same_token,
        accept_prevalidated=config.accept_prevalidated,
        master_group=config.master_group,
    )
    return Setup(rules, connectors, tuple(_warnings(config, rules)))


def absolute(name: str, namespace: str) -> str:
    """Return the namespace of a connector that is named by it, or relative to the site."""
    name = name.strip()
    return name if name.startswith('/') else f'{namespace.rstrip("/")}/{name}'


def _known(rights: Authorization, by_name: dict[str, str], namespace: str) -> Iterable[KnownToken]:
    for token in rights.tokens:
        named = token.connectors
        yield KnownToken(
            id_token=token.id_token,
            parent=token.parent,
            connectors=None
            if named is None
            else frozenset(by_name.get(name) or absolute(name, namespace) for name in named),
            enabled=token.enabled,
            valid_from=None if token.valid_from_ns is None else Time(token.valid_from_ns),
            expires=None if token.expires_ns is None else Time(token.expires_ns),
            priority=token.priority,
        )


def _read_site(file: str) -> Site:
    try:
        return load_site(file)
    except SiteFileError as error:
        raise ValueError(f'parameter site_file: {error}') from error


def _read_tokens(file: str) -> Authorization:
    try:
        return parse_authorization(read_site_file(file), file)
    except SiteFileError as error:
        raise ValueError(f'parameter tokens_file: {error}') from error


def _warnings(config: AuthorizationConfig, rules: Rules) -> Iterable[str]:
    file = config.site_file or config.tokens_file
    if file and rules.tokens and Path(file).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield f'{file} holds tokens and is readable by others; run chmod 600 on it.'
    if not rules.tokens and rules.unknown is UnknownTokens.REJECT and not config.accept_prevalidated:
        yield 'Without a token list every token is rejected; set site_file, tokens_file or unknown_tokens.'
