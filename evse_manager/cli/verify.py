"""``evse sessions verify``: whether the sessions sum to what the meter has counted."""

from argparse import Namespace
from collections.abc import Iterator
from typing import assert_never

from evse_manager.cli.errors import ExitCode, UsageError
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.record_source import Source, chosen
from evse_manager.interface.text import printable
from evse_manager.store.verification import DifferenceKind, Finding, MeterVerification, Verdict, verify


def verified(given: Namespace, records: Source) -> ExitCode:
    """Print a verdict on each meter; exit code 1 unless all agree."""
    if given.token or given.reason:
        raise UsageError('verify compares all sessions of a meter; leave --token and --reason out')
    meters = verify(chosen(given, records))
    if given.json:
        for meter in meters:
            emit(
                {
                    'connector': meter.connector,
                    'meter_id': meter.meter_id,
                    'verdict': meter.verdict.name,
                    'transactions': meter.transactions,
                    'sessions_wh': meter.sessions_wh,
                    'first_wh': meter.first_wh,
                    'last_wh': meter.last_wh,
                    'difference_wh': meter.difference_wh,
                    'findings': [
                        {**record(finding), 'kind': finding.kind.name} for finding in meter.findings
                    ],
                }
            )
    else:
        for line in [line for meter in meters for line in described(meter)] or ['There are no transactions.']:
            print(printable(line))
    wrong = any(meter.verdict is not Verdict.AGREES for meter in meters)
    return ExitCode.REFUSED if wrong else ExitCode.OK


def described(meter: MeterVerification) -> Iterator[str]:
    """Yield the verdict on a meter, and what it rests on."""
    place = f'{meter.connector or "unknown connector"}, meter {meter.meter_id or "without a name"}'
    match meter.verdict:
        case Verdict.UNKNOWN:
            yield f'{place}: UNKNOWN: no transaction has a register at its start and its stop.'
        case Verdict.AGREES | Verdict.DIFFERS:
            verdict = 'AGREES' if meter.verdict is Verdict.AGREES else 'DIFFERS'
            yield (
                f'{place}: {verdict}: {meter.transactions} transactions sum to {_kwh(meter.sessions_wh)};'
                f' the register went from {_kwh(meter.first_wh or 0.0)} to {_kwh(meter.last_wh or 0.0)},'
                f' that is {_kwh(meter.registers_wh)}.'
            )
        case _:
            assert_never(meter.verdict)
    for finding in meter.findings:
        yield f'  {_found(finding)}'


def _found(finding: Finding) -> str:
    session, energy = finding.uuid[:8], _kwh(finding.energy_wh or 0.0)
    match finding.kind:
        case DifferenceKind.BETWEEN:
            return (
                f'{energy} between {finding.before[:8]} and {session}: a transaction is missing, or something'
                ' else uses the meter.'
            )
        case DifferenceKind.BACKWARDS:
            return f'{energy} between {finding.before[:8]} and {session}: the meter was reset or replaced.'
        case DifferenceKind.WITHIN:
            why = (
                'the record says that its energy is a lower bound or integrated'
                if finding.marked
                else 'unexplained'
            )
            return f'{energy} in {session} beside its energy: {why}.'
        case DifferenceKind.NO_REGISTER:
            return f'{session} has no register at its start or stop; its {energy} are left out.'
        case _:
            assert_never(finding.kind)


def _kwh(watt_hours: float) -> str:
    return f'{watt_hours / 1000:.3f} kWh'
