"""
The pip door: build the package through CMakeLists.txt and put what it installs into a wheel.

colcon does not run this file (package.xml says ``ament_cmake``).  It serves ``pip install --no-build-isolation .``
in a virtual environment that holds the ROS 2 wheels of ``requirements/``: CMake generates and compiles the interfaces
and installs everything into a staging prefix; its Python packages become the wheel's modules and the rest
(share, lib, include) its data files, so that the virtual environment is a ROS 2 prefix with this package in it.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
NAME = 'evse_manager'


def version() -> str:
    """Return the version that package.xml declares."""
    found = re.search(r'<version>([^<]+)</version>', (ROOT / 'package.xml').read_text())
    if found is None:
        raise SystemExit('package.xml declares no <version>; add one.')
    return found.group(1)


def cmake_install(build: Path, stage: Path) -> None:
    """Configure, compile and install the package into ``stage``."""
    environment = dict(os.environ)
    # A virtual environment with ROS 2 wheels is itself the prefix; a sourced installation has set its own.
    for variable in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH'):
        environment[variable] = os.pathsep.join(filter(None, (environment.get(variable), sys.prefix)))
    environment['PATH'] = os.pathsep.join((str(Path(sys.executable).parent), environment.get('PATH', os.defpath)))
    configure = [
        'cmake', '-S', str(ROOT), '-B', str(build), f'-DCMAKE_INSTALL_PREFIX={stage}', '-DCMAKE_BUILD_TYPE=Release',
        f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF', *environment.get('CMAKE_ARGS', '').split(),
    ]  # fmt: skip
    compile_and_install = ['cmake', '--build', str(build), '--target', 'install', '--parallel', str(os.cpu_count() or 1)]
    for command in (configure, compile_and_install):
        subprocess.run(command, env=environment, check=True)


class BuildThroughCMake(build_py):
    """Replaces the collection of Python modules: they and all else come out of the CMake installation."""

    def run(self) -> None:
        """Build, then sort the staging prefix into modules and data files."""
        temporary = Path(self.get_finalized_command('build').build_temp).resolve()
        stage = temporary / 'stage'
        shutil.rmtree(stage, ignore_errors=True)
        cmake_install(temporary / 'cmake', stage)
        (modules,) = stage.glob(f'**/*-packages/{NAME}')
        shutil.rmtree(Path(self.build_lib) / NAME, ignore_errors=True)
        shutil.copytree(modules, Path(self.build_lib) / NAME, ignore=shutil.ignore_patterns('__pycache__'))
        self.distribution.data_files = [
            (str(file.parent.relative_to(stage)), [str(file)])
            for top in ('include', 'lib', 'share')
            for file in sorted((stage / top).rglob('*'))
            if file.is_file() and modules.parent not in file.parents and not is_setup_file(file.relative_to(stage))
        ]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the modules' paths; the wheel is made of the build directory as a whole."""
        return [str(path) for path in (Path(self.build_lib) / NAME).rglob('*') if path.is_file()]

    def get_source_files(self) -> list[str]:
        """Return the files of the source distribution."""
        patterns = ('cmake/*', 'config/*', 'launch/*', 'msg/*', 'srv/*', 'action/*', 'resource/*', 'evse_manager/**/*.py')
        files = [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()]
        return ['CMakeLists.txt', 'package.xml', *files]


class PlatformDistribution(Distribution):
    """A distribution whose modules are not listed beforehand, and which belongs to one interpreter and platform."""

    def has_pure_modules(self) -> bool:
        """Return True: ``BuildThroughCMake`` brings them."""
        return True

    def has_ext_modules(self) -> bool:
        """Return True: the type support consists of shared libraries."""
        return True


def is_setup_file(path: Path) -> bool:
    """Return whether this is a file of the prefix as a whole, which the virtual environment's own layout replaces."""
    return len(path.parts) == 1


if __name__ == '__main__':
    if sysconfig.get_platform().startswith('win'):
        raise SystemExit('evse_manager is not built on Windows; use Linux.')
    setup(version=version(), cmdclass={'build_py': BuildThroughCMake}, distclass=PlatformDistribution)
