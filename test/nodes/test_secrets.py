"""
Tokens and certificates stay where they belong, and so do the files.

Every node of a site runs with umask 0 and meets tokens in every way there is; then all that it wrote is read.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from rcl_interfaces.msg import Log
from rclpy.serialization import serialize_message

from charge_client import ChargeClient
from evse_manager.interface import endpoints, security
from evse_manager.msg import EvseStatus, ProvidedIdToken, TokenResult
from evse_manager.nodes.qos import STREAM, profile
from harness import Connector, Probe, Site, authorization, running

SITE, BAY = '/vault', '/vault/bay_1'
CARD, GROUP, ROBOT, GUEST, STRANGER = (
    'XSECRETCARD4711', 'XSECRETGROUP4712', 'XSECRETROBOT4713', 'XSECRETGUEST4714', 'XSECRETSTRANGER4715',
)  # fmt: skip
CERTIFICATE = 'XSECRETCERTIFICATE4716'
MARK = b'XSECRET'
"""The beginning of every secret: a masked token shows its end alone."""

SITE_FILE = f"""
site: {{name: vault, namespace: {SITE}}}
grid: {{limit_a: 32.0, children: [bay_1]}}
defaults: {{driver: simulated}}
connectors: {{bay_1: {{}}}}
"""
TOKENS = f"""
connection_timeout_s: 30.0
tokens:
  - {{id_token: {CARD}, parent: {GROUP}}}
  - {{id_token: {ROBOT}, parent: {GROUP}}}
"""
WHOLE_TOKENS_IN = ('session_event', 'token', 'tokens')
"""Topics that carry whole tokens, by the interface (docs/security.md)."""


class Vault:
    """The site, what was heard of it, and its directories."""

    def __init__(self, site: Site, probe: Probe, directory: Path) -> None:
        self.probe, self.directory = probe, directory
        self.home = directory / 'home'
        site_file, tokens = directory / 'site.yaml', directory / 'tokens.yaml'
        site_file.write_text(SITE_FILE)
        tokens.write_text(TOKENS)
        tokens.chmod(0o600)
        self.heard: dict[str, list[Any]] = {
            path: probe.listen(topic.type, path, profile(topic.qos))
            for topic, path in (
                *((topic, self._at(BAY, topic)) for topic in security.CONNECTOR_TOPICS),
                *((topic, self._at(SITE, topic)) for topic in security.SITE_TOPICS),
            )
            if topic.name not in WHOLE_TOKENS_IN
        }
        self.log: list[Log] = probe.listen('rcl_interfaces/msg/Log', '/rosout', STREAM)
        self.bay = Connector(probe, BAY)
        site.board(BAY)
        site.start(
            'evse_manager', BAY, connector_id=1, energy_source='manager', goal_authorization='site',
            closings_per_minute_max=60,
        )  # fmt: skip
        site.start('energy_manager', SITE, site_file=site_file, minimum_off_time_s=0.0)
        site.start('authorization', SITE, tokens_file=tokens)
        self.bay.sees('Enabled', 60.0)
        probe.wait(lambda: self.heard[f'{SITE}/reservations'], 'the authorization node is heard', 60.0)
        self.readers = {
            where: probe.publisher('evse_manager/msg/ProvidedIdToken', path, STREAM)
            for where, path in (('site', f'{SITE}/tokens'), ('bay', f'{BAY}/token'))
        }

    @staticmethod
    def _at(namespace: str, topic: endpoints.Topic) -> str:
        return topic.name if topic.name.startswith('/') else f'{namespace}/{topic.name}'

    def present(self, token: str, result: int, at: str = 'site') -> None:
        results = self.heard[f'{SITE}/token_results']
        seen = len(results)
        self.readers[at].publish(
            ProvidedIdToken(id_token=token, authorization_type=4, certificate=CERTIFICATE)
        )
        self.probe.wait(
            lambda: any(each.result == result for each in results[seen:]),
            lambda: f'result {result}; {[(each.result, each.reason) for each in results[seen:]]}',
        )

    def call(self, name: str, **fields: Any) -> Any:
        kind = next(each.type for each in security.SITE_SERVICES if each.name == name)
        return self.probe.call(kind, f'{SITE}/{name}', **fields)

    def live(self) -> None:
        """Meet tokens in every way."""
        bay = self.bay
        bay.accepted('simulation/plug_in')
        bay.sees('SS AR')
        self.present(STRANGER, TokenResult.REJECTED)
        self.present(CARD, TokenResult.ACCEPTED)
        bay.sees('TS')
        bay.reaches(lambda status: status.state == EvseStatus.STATE_CHARGING, 'charging', 60.0)
        bay.forget()
        assert self.call('site/set_limit', node='grid', source='operator', limit_a=20.0).success
        bay.refused('authorize_response', **authorization(STRANGER))
        bay.accepted('simulation/inject_fault', fault='rcd_ac')
        bay.reaches(lambda status: status.active_errors, 'a fault')
        bay.accepted('simulation/unplug')
        bay.to_rest()
        assert self.call('reserve', id_token=ROBOT, connector='bay_1', duration=Duration(sec=600)).success
        client = ChargeClient(bay)
        handle = client.send(token=ROBOT, energy_wh=5000.0)
        bay.sees('ReservationStart', 60.0)
        bay.reaches(lambda status: status.authorized, 'the goal is authorized', 60.0)
        bay.probe.wait(handle.cancel_goal_async().done, 'the cancel is answered')
        client.result(handle, 60.0)
        client.close()
        bay.to_rest()
        bay.accepted('authorize_response', **authorization(GUEST))
        bay.accepted('withdraw_authorization')
        self.call('withdraw_token', id_token=GUEST)
        self.readers['bay'].publish(ProvidedIdToken(id_token=f'{GUEST}\x1b[2J'))
        self.probe.spin(1.5)


@pytest.fixture(scope='module')
def vault(domain: int, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """The site after it has lived; its processes have ended."""
    directory = tmp_path_factory.mktemp('vault')
    before = os.umask(0)
    try:
        home = str(directory / 'home')
        with running(directory, {'ROS_HOME': home, 'ROS_LOG_DIR': f'{home}/log'}) as site:
            vault = Vault(site, probe, directory)
            vault.live()
    finally:
        os.umask(before)
    return vault


def files(vault: Vault) -> list[Path]:
    return [path for path in vault.directory.rglob('*') if path.is_file()]


def test_each_file_that_is_kept_belongs_to_its_owner_alone(vault: Vault) -> None:
    kept = [path for path in files(vault) if path.parent == vault.home / 'evse_manager']
    names = {path.name for path in kept}
    assert {'vault.limits.json', 'vault.authorization.json'} <= names
    assert any(name.endswith('.sqlite3') for name in names)
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in kept} == dict.fromkeys(
        names, '0o600'
    )
    assert stat.S_IMODE((vault.home / 'evse_manager').stat().st_mode) == 0o700


def test_no_log_has_a_secret(vault: Vault) -> None:
    logs = [path for path in files(vault) if path.suffix == '.log']
    assert len(logs) >= 4
    text = b''.join(path.read_bytes() for path in logs)
    assert b'TransactionStarted' in text
    assert MARK not in text
    assert any('4711' in entry.msg for entry in vault.log), 'the end of a token is shown'
    assert not [entry.msg for entry in vault.log if MARK.decode() in entry.msg]


def test_no_topic_but_those_of_tokens_and_events_has_a_secret(vault: Vault) -> None:
    spoken = {path for path, messages in vault.heard.items() if messages}
    assert {f'{BAY}/status', '/diagnostics', f'{SITE}/site/status', f'{SITE}/reservations'} <= spoken
    with_secrets = {
        path
        for path, messages in vault.heard.items()
        if any(MARK in serialize_message(message) for message in messages)
    }
    assert with_secrets == set()
