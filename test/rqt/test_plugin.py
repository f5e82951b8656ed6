"""What rqt reads: the plug-in's registration, its class, and the perspective."""

import ast
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints
from xml.etree import ElementTree

import pytest

from evse_manager.interface.types import EvseStatus

from .conftest import RecordedLink

ROOT = Path(__file__).resolve().parents[2]
(ENTRY,) = ElementTree.parse(ROOT / 'plugin.xml').iter('class')
PERSPECTIVE = json.loads((ROOT / 'rqt' / 'evse.perspective').read_text())


def test_package_xml_registers_the_file_of_the_plug_in() -> None:
    export = ElementTree.parse(ROOT / 'package.xml').find('export/rqt_gui')
    assert export is not None
    assert export.attrib == {'plugin': '${prefix}/plugin.xml'}


def test_the_registered_class_exists() -> None:
    assert ENTRY.attrib['base_class_type'] == 'rqt_gui_py::Plugin'
    module, _, name = ENTRY.attrib['type'].rpartition('.')
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def plugins() -> dict[str, list[int]]:
    value = PERSPECTIVE['groups']['pluginmanager']['keys']['running-plugins']
    assert value['type'] == 'repr'
    running: dict[str, list[int]] = ast.literal_eval(value['repr'])
    return running


def test_the_perspective_opens_the_plug_in_diagnostics_and_plots() -> None:
    assert set(plugins()) == {
        f'evse_manager/{ENTRY.attrib["name"]}', 'rqt_robot_monitor/RobotMonitor', 'rqt_plot/Plot',
    }  # fmt: skip


def test_the_perspective_plots_flat_numeric_fields_of_the_status() -> None:
    hints = get_type_hints(EvseStatus)
    groups = PERSPECTIVE['groups']['pluginmanager']['groups']
    assert len(groups) == len(plugins()['rqt_plot/Plot'])
    for group in groups.values():
        for topic in ast.literal_eval(group['groups']['plugin']['keys']['topics']['repr']):
            prefix, _, name = topic.rpartition('/')
            assert prefix == '/evse_1/status'
            assert name in [field.name for field in fields(EvseStatus)]
            assert hints[name] in (float, float | None), topic


class Settings(dict[str, Any]):
    """Settings of an instance, as rqt gives them to a plug-in."""

    def set_value(self, name: str, value: Any) -> None:
        self[name] = value

    def value(self, name: str, default: Any = None) -> Any:
        return self.get(name, default)


class Context:
    """What a plug-in gets of rqt."""

    def __init__(self) -> None:
        self.widgets: list[Any] = []

    def serial_number(self) -> int:
        return 2

    def add_widget(self, widget: Any) -> None:
        self.widgets.append(widget)


@pytest.fixture
def plugin_class(application: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Context], Any]]:
    """The plug-in's class over a base class as rqt's is."""
    from evse_manager.rqt.binding import QtCore

    base = ModuleType('rqt_gui_py.plugin')
    base.Plugin = type(
        'Plugin', (QtCore.QObject,), {'__init__': lambda self, context: QtCore.QObject.__init__(self)}
    )  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'rqt_gui_py', ModuleType('rqt_gui_py'))
    monkeypatch.setitem(sys.modules, 'rqt_gui_py.plugin', base)
    monkeypatch.delitem(sys.modules, 'evse_manager.rqt.plugin', raising=False)
    from evse_manager.rqt import plugin

    monkeypatch.setattr(plugin, 'GraphLink', RecordedLink)
    yield plugin.EvsePlugin
    sys.modules.pop('evse_manager.rqt.plugin', None)


def test_the_plug_in_puts_its_panel_into_rqt_and_keeps_its_arrangement(
    plugin_class: Callable[[Context], Any],
) -> None:
    first, context = Settings(), Context()
    plugin = plugin_class(context)
    (panel,) = context.widgets
    assert panel.windowTitle().endswith('(2)')
    panel.filter.setText('bay')
    plugin.save_settings(Settings(), first)
    link = panel._link
    plugin.shutdown_plugin()
    assert link.closed

    again = Context()
    other = plugin_class(again)
    other.restore_settings(Settings(), first)
    assert again.widgets[0].filter.text() == 'bay'
    other.restore_settings(Settings(), Settings())
    other.shutdown_plugin()


def test_the_arrangement_of_the_perspective_names_the_panel(application: Any) -> None:
    from evse_manager.rqt.binding import QtCore
    from evse_manager.rqt.panel import Panel

    keys = PERSPECTIVE['groups']['mainwindow']['keys']
    stored = {
        name: bytes.fromhex(value['repr(QByteArray.hex)'].split("'")[1]) for name, value in keys.items()
    }
    panel = Panel(RecordedLink())
    dock = f'evse_manager__{ENTRY.attrib["name"]}__1__{panel.objectName()}'
    panel.shut_down()
    assert dock.encode('utf-16-be') in stored['state']
    assert QtCore.QByteArray(stored['geometry']).size() > 0
