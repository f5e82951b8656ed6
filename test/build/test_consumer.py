"""Other packages find, compile against and link the installed interfaces, and embed them in their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix

CMAKE = """
cmake_minimum_required(VERSION 3.21)
project(consumer LANGUAGES C CXX)
find_package(evse_manager REQUIRED)
add_executable(consumer consumer.cpp)
target_compile_features(consumer PRIVATE cxx_std_17)
target_link_libraries(consumer ${evse_manager_TARGETS})
"""

PROGRAM = """
#include <cstdio>
#include <evse_manager/msg/session_event.hpp>
#include <evse_manager/srv/stop_transaction.hpp>
#include <rosidl_typesupport_cpp/message_type_support.hpp>
#include <rosidl_typesupport_cpp/service_type_support.hpp>

int main()
{
  evse_manager::msg::SessionEvent event;
  event.event = evse_manager::msg::SessionEvent::CHARGING_STARTED;
  using evse_manager::srv::StopTransaction;
  const auto * message = rosidl_typesupport_cpp::get_message_type_support_handle<decltype(event)>();
  const auto * service = rosidl_typesupport_cpp::get_service_type_support_handle<StopTransaction>();
  std::printf("%d %s %s\\n", event.event, message->typesupport_identifier, service->typesupport_identifier);
  return 0;
}
"""


def build(folder: Path) -> None:
    """Configure and build a package against the installed one."""
    prefixes = os.pathsep.join((get_package_prefix('evse_manager'), os.environ.get('AMENT_PREFIX_PATH', '')))
    environment = os.environ | {'CMAKE_PREFIX_PATH': prefixes, 'AMENT_PREFIX_PATH': prefixes}
    for command in (
        ['cmake', '-S', '.', '-B', 'build', f'-DPython3_EXECUTABLE={sys.executable}'],
        ['cmake', '--build', 'build'],
    ):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


MESSAGES = """
cmake_minimum_required(VERSION 3.21)
project(fleet_msgs LANGUAGES C CXX)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(evse_manager REQUIRED)
rosidl_generate_interfaces(fleet_msgs msg/Fleet.msg DEPENDENCIES evse_manager)
ament_package()
"""


@pytest.mark.timeout(600)
def test_a_message_package_embeds_the_messages(tmp_path: Path) -> None:
    (tmp_path / 'CMakeLists.txt').write_text(MESSAGES)
    (tmp_path / 'package.xml').write_text(
        '<package format="3"><name>fleet_msgs</name><version>0.0.0</version><description>d</description>'
        '<maintainer email="fleet@example.com">m</maintainer><license>Apache-2.0</license>'
        '<depend>evse_manager</depend><member_of_group>rosidl_interface_packages</member_of_group></package>'
    )
    (tmp_path / 'msg').mkdir()
    (tmp_path / 'msg' / 'Fleet.msg').write_text('evse_manager/EvseStatus[] connectors\n')
    build(tmp_path)
    assert list((tmp_path / 'build').glob('**/_fleet.py')), 'the Python type support was generated'


@pytest.mark.timeout(300)
def test_a_cpp_package_uses_the_interfaces(tmp_path: Path) -> None:
    (tmp_path / 'CMakeLists.txt').write_text(CMAKE)
    (tmp_path / 'consumer.cpp').write_text(PROGRAM)
    build(tmp_path)
    environment = os.environ
    printed = subprocess.run(
        ['build/consumer'],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout
    assert printed.split()[1:] == ['rosidl_typesupport_cpp', 'rosidl_typesupport_cpp']
