"""What the window shows, without Qt."""

import pytest

from evse_manager.cli.errors import UsageError
from evse_manager.cli.monitor import Monitor
from evse_manager.interface.appearance import StateKind
from evse_manager.interface.enums import ChargerState
from evse_manager.interface.types import EvseStatus
from evse_manager.rqt.model import SPAN_S, Histories, rows_of, sample


def test_the_measured_current_is_that_of_the_highest_phase() -> None:
    status = EvseStatus(current_l1_a=3.0, current_l2_a=-9.0, current_l3_a=None)
    assert sample(status, 1.0).measured_a == -9.0
    assert sample(EvseStatus(), 1.0).measured_a is None


def test_a_history_begins_with_the_value_that_holds_at_its_begin() -> None:
    histories = Histories()
    for at in (0.0, 100.0, 200.0, 900.0):
        histories.add('/a', EvseStatus(power_w=at), at)
    now = 900.0
    assert now - SPAN_S == 300.0
    assert [each.at for each in histories.of('/a', now)] == [200.0, 900.0]
    assert histories.of('/b', now) == []


def test_a_connector_that_was_never_heard_is_silent() -> None:
    monitor = Monitor()
    monitor.offered(['/a'])
    (row,) = rows_of(monitor, 5.0)
    assert (row.kind, row.state) == (StateKind.SILENT, 'unknown')


def test_a_garbled_status_is_unreadable_not_what_was_known_before() -> None:
    monitor = Monitor()
    monitor.offered(['/a'])
    monitor.status('/a', EvseStatus(state=ChargerState.CHARGING), 5.0)
    monitor.garbled('/a', 'status can not be understood: power_w is infinite.', 5.0)
    (row,) = rows_of(monitor, 5.0)
    assert (row.kind, row.state) == (StateKind.SILENT, 'unreadable')
    assert 'power_w' in row.reason


def test_without_a_binding_the_mistake_names_what_to_install() -> None:
    pytest.importorskip('PySide6.QtWidgets')
    from evse_manager.rqt.binding import choose

    with pytest.raises(UsageError, match=r'install python3-pyqt5 .*no_such_qt'):
        choose(['no_such_qt'])
