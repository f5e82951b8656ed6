"""
The subcommands that call a service: one row per service of the interface.

A row has the subcommand's name and arguments, and maps these to the request's fields.
Names equal the services' with dashes; nothing here imports ROS.
"""

import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from evse_manager.charging.owners import PRIORITY_MAX
from evse_manager.cli import arguments, limits
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    CertificateAction,
    EnableSource,
    EnableState,
    ExiStreamStatus,
    IdTokenType,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    ProvidedIdToken,
    ResponseExiStreamStatus,
    StopTransactionRequest,
    Time,
    ValidationResult,
)
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES

Fields = dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """One argument of a subcommand, for ``argparse``."""

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    completions: tuple[str, ...] = ()
    """What a shell may complete it to, where its type does not say."""


@dataclass(frozen=True)
class Command:
    """A subcommand that calls one service."""

    service: str
    summary: str
    details: str = ''
    aliases: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    request: Callable[[Namespace], Fields] = lambda given: {}
    examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The subcommand's name (``simulation/plug_in`` is ``plug-in``, below ``sim``)."""
        return self.service.rpartition('/')[2].replace('_', '-')

    @property
    def words(self) -> str:
        """One subcommand of ``evse``."""
        return f'sim {self.name}' if self.simulated else self.name

    @property
    def simulated(self) -> bool:
        """Whether the board's physical model offers the service."""
        return self.service.startswith('simulation/')


def argument(*flags: str, completions: Iterable[str] = (), **options: Any) -> Argument:
    """Return an argument as ``ArgumentParser.add_argument`` would take it, with what completes it."""
    return Argument(flags, options, tuple(completions))


def listed(enumeration: type[IntEnum]) -> str:
    """Return what an argument takes for an enumeration, for its help."""
    return ', '.join(arguments.choices_of(enumeration))


CONNECTOR_ID = argument(
    '--id',
    dest='connector_id',
    type=arguments.integer(0, 65535),
    default=0,
    metavar='N',
    help="0 (default) is the whole EVSE, any other number must be the connector's own",
)


ALL = argument(
    '--all',
    action='store_true',
    help='at all connectors at once, or with -c at all below that namespace; who refuses is listed',
)


AFTER_SESSION = argument(
    '--after-session',
    action='store_true',
    help='wait until no session is open there; Ctrl-C takes the command back until then',
)


def authorization(given: Namespace) -> Fields:
    """Return the fields of ``authorize_response``."""
    token = ProvidedIdToken(
        id_token=given.token,
        authorization_type=given.type,
        id_token_type=given.token_type,
        connectors=tuple(given.only_connector),
        prevalidated=True if given.prevalidated else None,
    )
    result = ValidationResult(
        authorization_status=given.status,
        reason=given.reason,
        expiry_time=None if given.expires is None else Time(given.expires),
        parent_id_token=given.parent,
        evse_ids=tuple(given.only_evse),
    )
    return {'provided_token': token, 'validation_result': result}


def certificate_response(given: Namespace) -> Fields:
    """Return the fields of ``set_get_certificate_response`` (the misspelling is the interface's own)."""
    response = ResponseExiStreamStatus(
        status=given.status, certificate_action=given.action, exi_response=given.exi_response
    )
    return {'certificate_reponse': response}


def plug_in(given: Namespace) -> Fields:
    """Return the fields of ``simulation/plug_in``; NaN and 0 leave a value to the profile."""
    absent = float('nan')
    return {
        'profile': given.profile,
        'max_current_a': absent if given.current is None else given.current,
        'phases': given.phases,
        'soc_percent': absent if given.soc is None else given.soc,
        'battery_capacity_wh': absent if given.battery is None else given.battery,
    }


COMMANDS: tuple[Command, ...] = (
    Command(
        'get_id',
        'print the connector number',
        aliases=('id',),
        examples=('evse get-id',),
    ),
    Command(
        'external_ready_to_start_charging',
        'let a connector start that waits for it',
        'Accepted also when it does not wait (see the parameter wait_for_external_ready).',
        aliases=('ready',),
        examples=('evse ready',),
    ),
    Command(
        'save_black_box',
        'write the last minutes of the connector to a file on its machine, and print where',
        'The manager does the same by itself at each fault; see evse replay.',
        aliases=('black-box',),
        examples=('evse save-black-box', 'evse save-black-box -c /depot/evse_7'),
    ),
    Command(
        'enable',
        'make the connector available',
        'Accepted also when it was enabled already; refused while it is out of order (see clear-fault).',
        arguments=(CONNECTOR_ID, ALL),
        request=lambda given: {'connector_id': given.connector_id},
        examples=('evse enable', 'evse enable -c /depot/evse_7'),
    ),
    Command(
        'disable',
        'make the connector unavailable',
        'A running session is closed in order first.',
        arguments=(CONNECTOR_ID, ALL, AFTER_SESSION),
        request=lambda given: {'connector_id': given.connector_id},
        examples=('evse disable', 'evse disable --after-session', 'evse disable --all -c /depot'),
    ),
    Command(
        'enable_disable',
        'enable or disable in the name of one of several owners',
        'Each source has one say, its newest; the lowest priority number wins, of equal ones the disable. '
        'enable and disable are the source local-api with priority 100; unassigned takes a say back.',
        arguments=(
            argument(
                'state',
                type=arguments.Choice(EnableState),
                metavar='STATE',
                help=f'what the source wants: {listed(EnableState)}',
            ),
            argument(
                '--source',
                type=arguments.Choice(EnableSource),
                default=EnableSource.UNSPECIFIED,
                metavar='SOURCE',
                help=f'who wants it: {listed(EnableSource)} (default: a source without a name)',
            ),
            argument(
                '--priority',
                type=arguments.integer(0, PRIORITY_MAX),
                default=PRIORITY_MAX,
                metavar='N',
                help='0 (strongest) to 10000 (weakest, default)',
            ),
            CONNECTOR_ID,
        ),
        request=lambda given: {
            'connector_id': given.connector_id,
            'source': given.source,
            'state': given.state,
            'priority': given.priority,
        },
        examples=(
            'evse enable-disable disable --source csms --priority 50',
            'evse enable-disable unassigned --source csms',
        ),
    ),
    Command(
        'authorize_response',
        'deliver the result of an authorization (by default: accepted)',
        'Charging begins when the cable is plugged in and the token accepted, whichever comes first.',
        aliases=('authorize', 'auth'),
        arguments=(
            argument(
                'token',
                nargs='?',
                default='OPERATOR',
                type=arguments.text_of('token'),
                metavar='TOKEN',
                help='the token, as a reader would give it (default: %(default)s)',
            ),
            argument(
                '--status',
                type=arguments.Choice(AuthorizationStatus),
                default=AuthorizationStatus.ACCEPTED,
                metavar='STATUS',
                help=f'what the authority said: {listed(AuthorizationStatus)} (default: accepted)',
            ),
            argument(
                '--type',
                type=arguments.Choice(AuthorizationType),
                default=AuthorizationType.RFID,
                metavar='TYPE',
                help=f'how it was presented: {listed(AuthorizationType)} (default: rfid)',
            ),
            argument(
                '--token-type',
                type=arguments.Choice(IdTokenType),
                default=IdTokenType.UNSPECIFIED,
                metavar='TYPE',
                help=f'kind of the token: {listed(IdTokenType)} (default: not given)',
            ),
            argument('--reason', default='', metavar='TEXT', help='why, when the authority refused it'),
            argument('--parent', default='', metavar='TOKEN', help="the group's token"),
            argument(
                '--expires',
                type=arguments.point_in_time,
                metavar='TIME',
                help='when the acceptance ends: 2026-11-22T18:00, 18:00 or +30m (default: never)',
            ),
            argument(
                '--only-connector',
                type=arguments.integer(0, 65535),
                action='append',
                default=[],
                metavar='N',
                help='a connector that the token is for; may be repeated (default: every one)',
            ),
            argument(
                '--only-evse',
                type=arguments.integer(0, 2**31 - 1),
                action='append',
                default=[],
                metavar='N',
                help='an EVSE that the acceptance is for; may be repeated (default: every one)',
            ),
            argument(
                '--prevalidated', action='store_true', help='the reader has validated the token already'
            ),
        ),
        request=authorization,
        examples=(
            'evse authorize',
            'evse authorize 04A1B2C3 --type rfid --token-type iso14443',
            'evse authorize 04A1B2C3 --status blocked',
        ),
    ),
    Command(
        'withdraw_authorization',
        'take an authorization back that was given before the transaction began',
        'A transaction that runs already is not touched: use stop-transaction.',
        aliases=('withdraw',),
        examples=('evse withdraw',),
    ),
    Command(
        'reserve',
        'keep a free connector for a reservation',
        arguments=(
            argument(
                'reservation_id',
                type=arguments.integer(0, 2**31 - 1),
                metavar='ID',
                help='number of the reservation; it appears in the transaction that uses it',
            ),
        ),
        request=lambda given: {'reservation_id': given.reservation_id},
        examples=('evse reserve 42',),
    ),
    Command(
        'cancel_reservation',
        'drop the reservation, if there is one',
        aliases=('unreserve',),
        examples=('evse cancel-reservation',),
    ),
    Command(
        'set_faulted',
        'put the connector out of order until clear-fault',
        'A running session is closed in order first.',
        examples=('evse set-faulted',),
    ),
    Command(
        'clear_fault',
        'reset a latched fault (weld, set-faulted)',
        'Refused while the cause lasts.',
        examples=('evse clear-fault',),
    ),
    Command(
        'pause_charging',
        'pause the transaction',
        aliases=('pause',),
        arguments=(ALL,),
        examples=('evse pause', 'evse pause-charging -c evse_2', 'evse pause --all'),
    ),
    Command(
        'resume_charging',
        'end the pause',
        aliases=('resume',),
        arguments=(ALL,),
        examples=('evse resume', 'evse resume --all'),
    ),
    Command(
        'stop_transaction',
        'end the transaction; only a replug begins another one',
        aliases=('stop',),
        arguments=(
            argument(
                '--reason',
                type=arguments.Choice(StopTransactionReason),
                default=StopTransactionReason.LOCAL,
                metavar='REASON',
                help=f'why: {listed(StopTransactionReason)} (default: local)',
            ),
            argument('--token', default='', metavar='TOKEN', help='the token that ended it'),
            ALL,
        ),
        request=lambda given: {'request': StopTransactionRequest(reason=given.reason, id_tag=given.token)},
        examples=('evse stop', 'evse stop-transaction --reason remote --token 04A1B2C3', 'evse stop --all'),
    ),
    Command(
        'force_unlock',
        'stop, open the contactor and unlock the connector',
        'Answers when the connector is unlocked (8 s at most). Never unlocks under load.',
        aliases=('unlock',),
        arguments=(CONNECTOR_ID,),
        request=lambda given: {'connector_id': given.connector_id},
        examples=('evse unlock',),
    ),
    Command(
        'set_external_limits',
        'set what the connector may draw at most, now or by a schedule',
        limits.DETAILS,
        aliases=('limit',),
        arguments=tuple(argument(*flags, **options) for flags, options in limits.ARGUMENTS),
        request=limits.external_limits,
        examples=(
            'evse limit 16',
            'evse limit --power 7kW',
            'evse limit 10 --phases 1',
            'evse limit --none',
            'evse limit --schedule night.json',
        ),
    ),
    Command(
        'switch_three_phases_while_charging',
        'change between one phase and three while charging',
        aliases=('phases',),
        arguments=(
            argument(
                'phases', type=int, choices=(1, 3), metavar='{1,3}', help='phases to charge with from now on'
            ),
        ),
        request=lambda given: {'three_phases': given.phases == 3},
        examples=('evse phases 1', 'evse phases 3'),
    ),
    Command(
        'set_get_certificate_response',
        'hand the answer to a certificate request to the high-level-communication node',
        'Refused when there is no such node.',
        aliases=('certificate-response',),
        arguments=(
            argument(
                'exi_response',
                nargs='?',
                default='',
                metavar='BASE64',
                help='the EXI stream in base64; only with --status accepted',
            ),
            argument(
                '--status',
                type=arguments.Choice(ExiStreamStatus),
                default=ExiStreamStatus.ACCEPTED,
                metavar='STATUS',
                help=f'{listed(ExiStreamStatus)} (default: accepted)',
            ),
            argument(
                '--action',
                type=arguments.Choice(CertificateAction),
                default=CertificateAction.INSTALL,
                metavar='ACTION',
                help=f'{listed(CertificateAction)} (default: install)',
            ),
        ),
        request=certificate_response,
        examples=('evse certificate-response --status failed',),
    ),
)
"""The commands of ``evse_manager``, in the interface's order."""


def glossary(title: str, entries: Mapping[str, str]) -> str:
    """Return names and their meaning, for a help text."""
    width = max(map(len, entries)) + 4
    lines = [
        textwrap.fill(f'  {name:<{width - 2}}{meaning}', 79, subsequent_indent=' ' * width)
        for name, meaning in entries.items()
    ]
    return '\n'.join(['', f'{title}:', *lines])


FAULT_GLOSSARY = glossary('faults', {name: fault.description for name, fault in FAULTS.items()})
PROFILE_GLOSSARY = glossary('profiles', {name: profile.description for name, profile in PROFILES.items()})

SIMULATION: tuple[Command, ...] = (
    Command(
        'simulation/plug_in',
        'plug a simulated EV in',
        PROFILE_GLOSSARY,
        arguments=(
            argument(
                '--profile',
                default='',
                metavar='NAME',
                help='kind of the EV (default: default)',
                completions=PROFILES,
            ),
            argument(
                '--soc',
                type=arguments.number(1, 100, '%'),
                metavar='PERCENT',
                help="how full its battery is (default: the profile's); basic AC charging cannot"
                ' read it, so status does not show it',
            ),
            argument(
                '--current',
                type=arguments.number(0.1, arguments.MAX_CURRENT_A, 'A'),
                metavar='A',
                help="highest current that it draws (default: the profile's)",
            ),
            argument(
                '--phases',
                type=int,
                choices=(1, 2, 3),
                default=0,
                metavar='{1,2,3}',
                help="phases that it charges with (default: the profile's)",
            ),
            argument(
                '--battery',
                type=arguments.number(1, 1e7, 'Wh'),
                metavar='WH',
                help="capacity of its battery in Wh (default: the profile's)",
            ),
        ),
        request=plug_in,
        examples=('evse sim plug-in', 'evse sim plug-in --profile single_phase --soc 95'),
    ),
    Command('simulation/unplug', 'pull the cable out', examples=('evse sim unplug',)),
    Command('simulation/ev_pause', 'let the EV stop asking for power', examples=('evse sim ev-pause',)),
    Command('simulation/ev_resume', 'let the EV ask for power again', examples=('evse sim ev-resume',)),
    Command('simulation/replug', 'pull the cable out and plug it in again', examples=('evse sim replug',)),
    Command(
        'simulation/set_proximity',
        'put a cable with a coding resistor into the socket',
        aliases=('proximity',),
        arguments=(
            argument(
                'ampacity_a',
                type=int,
                choices=(0, 13, 20, 32, 63),
                metavar='{0,13,20,32,63}',
                help='what the cable can carry in A; 0 = none',
            ),
        ),
        request=lambda given: {'ampacity_a': float(given.ampacity_a)},
        examples=('evse sim proximity 20',),
    ),
    Command(
        'simulation/inject_fault',
        'make something fail',
        FAULT_GLOSSARY,
        aliases=('inject',),
        arguments=(
            argument(
                'fault',
                type=arguments.text_of('fault'),
                metavar='FAULT',
                help='name of the fault',
                completions=FAULTS,
            ),
        ),
        request=lambda given: {'fault': given.fault.replace('-', '_')},
        examples=('evse sim inject ventilation',),
    ),
    Command(
        'simulation/clear_fault',
        'correct what fails',
        FAULT_GLOSSARY,
        aliases=('clear',),
        arguments=(
            argument(
                'fault',
                nargs='?',
                default='',
                metavar='FAULT',
                help='name of the fault (default: all)',
                completions=FAULTS,
            ),
        ),
        request=lambda given: {'fault': given.fault.replace('-', '_')},
        examples=('evse sim clear ventilation', 'evse sim clear'),
    ),
)
"""The services of the simulated board."""
