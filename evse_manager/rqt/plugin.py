"""The plug-in of rqt, registered by plugin.xml; imported by rqt alone."""

from typing import Any

from rqt_gui_py.plugin import Plugin

from evse_manager.rqt.link import GraphLink
from evse_manager.rqt.panel import Panel


class EvsePlugin(Plugin):
    """Puts the panel into a dock of rqt, and keeps its arrangement in the perspective."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.setObjectName('EvsePlugin')
        self._panel = Panel(GraphLink())
        number = context.serial_number()
        if number > 1:
            self._panel.setWindowTitle(f'{self._panel.windowTitle()} ({number})')
        context.add_widget(self._panel)

    def shutdown_plugin(self) -> None:
        """Leave the graph."""
        self._panel.shut_down()

    def save_settings(self, plugin_settings: Any, instance_settings: Any) -> None:
        """Keep the filter and the arrangement."""
        instance_settings.set_value('filter', self._panel.filter.text())
        for name, splitter in self._panel.splitters.items():
            instance_settings.set_value(name, splitter.saveState())

    def restore_settings(self, plugin_settings: Any, instance_settings: Any) -> None:
        """Bring the filter and the arrangement back."""
        self._panel.filter.setText(instance_settings.value('filter', ''))
        for name, splitter in self._panel.splitters.items():
            state = instance_settings.value(name)
            if state is not None:
                splitter.restoreState(state)
