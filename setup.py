"""
Build the package through CMakeLists.txt and put what it installs into a wheel.

colcon does not run this file (package.xml says ``ament_cmake``). It serves ``pip install
--no-build-isolation .`` in a virtual environment that holds the ROS 2 wheels of ``requirements/``. CMake
generates and compiles the interfaces and installs everything into a staging prefix. The Python package in
there becomes the wheel's modules, the rest (share, lib, include) its data files: the virtual environment is
a ROS 2 prefix with this package in it.
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
    environment['PATH'] = os.pathsep.join(
        (str(Path(sys.executable).parent), environment.get('PATH', os.defpath))
    )
    configure = ['cmake', '-S', str(ROOT), '-B', str(build), f'-DCMAKE_INSTALL_PREFIX={stage}']
    options = ['-DCMAKE_BUILD_TYPE=Release', f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF']
    own = environment.get('CMAKE_ARGS', '').split()
    make = ['cmake', '--build', str(build), '--target', 'install', '--parallel', str(os.cpu_count() or 1)]
    for command in ([*configure, *options, *own], make):
        subprocess.run(command, env=environment, check=True)


class BuildThroughCMake(build_py):
    """Replaces the collection of Python modules: they and all else come out of the CMake installation."""

    def run(self) -> None:
        """Build, then sort the staging prefix into modules and data files."""
        temporary = Path(self.get_finalized_command('build').build_temp).resolve()
        stage = temporary / 'stage'
        shutil.rmtree(temporary, ignore_errors=True)  # it may belong to another virtual environment
        cmake_install(temporary / 'cmake', stage)
        (modules,) = stage.glob(f'**/*-packages/{NAME}')
        shutil.rmtree(Path(self.build_lib) / NAME, ignore_errors=True)
        shutil.copytree(modules, Path(self.build_lib) / NAME, ignore=shutil.ignore_patterns('__pycache__'))
        files = [path for top in ('include', 'lib', 'share') for path in sorted((stage / top).rglob('*'))]
        self.distribution.data_files = [
            (str(path.parent.relative_to(stage)), [str(path)])
            for path in files
            if path.is_file() and modules.parent not in path.parents
        ]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the modules' paths; the wheel is made of the build directory as a whole."""
        return [str(path) for path in (Path(self.build_lib) / NAME).rglob('*') if path.is_file()]

    def get_source_files(self) -> list[str]:
        """Return the files of the source distribution."""
        folders = ('cmake', 'config', 'launch', 'msg', 'srv', 'action', 'resource', 'rqt', 'rviz')
        paths = [path for folder in folders for path in ROOT.glob(f'{folder}/*')]
        paths += [path for kind in ('py', 'xml') for path in ROOT.glob(f'{NAME}/**/*.{kind}')]
        files = [str(path.relative_to(ROOT)) for path in paths if path.is_file()]
        return ['CMakeLists.txt', 'package.xml', 'plugin.xml', *files]


class PlatformDistribution(Distribution):
    """A distribution of modules that are not listed beforehand, for one interpreter and platform."""

    def has_pure_modules(self) -> bool:
        """Return True: ``BuildThroughCMake`` brings them."""
        return True

    def has_ext_modules(self) -> bool:
        """Return True: the type support consists of shared libraries."""
        return True


if __name__ == '__main__':
    if sysconfig.get_platform().startswith('win'):
        raise SystemExit('evse_manager is not built on Windows; use Linux.')
    setup(
        version=version(),
        cmdclass={'build_py': BuildThroughCMake},
        distclass=PlatformDistribution,
        options={'build': {'build_base': 'build/pip'}},
    )
