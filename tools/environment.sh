#!/usr/bin/env bash
# Sets up, builds, checks and runs the package; `make` calls it.
#
# usage: tools/environment.sh build|demo|test|test-pure|test-ros|test-distribution|lint|docs|clean
#        tools/environment.sh run COMMAND…       run a command in the built environment
#
# test-pure runs the tests of the packages that need no ROS 2, from the checkout; test-ros the others, against what
# was built; test both, and the linters.
#
# environment: DISTRO       jazzy (default) or kilted
#              DRIVER       board driver of the demo of one connector
#              CONNECTORS   how many the demo of a depot has
#              PYTEST_ARGS  arguments of pytest, for a part of the tests ("test/board -x", "-k lease")
#              DEEP=1       clean removes the virtual environment too
#
# A sourced ROS 2 (ROS_DISTRO set, ros2 and colcon on PATH) is used as it is.  Otherwise ROS 2 comes as pinned wheels
# (requirements/) into a virtual environment, and what these need of the system is installed by apt when run as
# root, else named.  Nothing is done twice: the wheels follow the requirement files, the build follows its sources.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '== %s\n' "$*"; }
fail() { printf 'environment.sh: %s\n' "$*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------- which ROS 2

ros_is_sourced() {
    [ -n "${ROS_DISTRO:-}" ] && command -v ros2 >/dev/null || return 1
    command -v colcon >/dev/null ||
        fail "ROS 2 $ROS_DISTRO is sourced, but colcon is missing; run: apt install python3-colcon-common-extensions"
}

choose_distribution() {
    if ros_is_sourced; then
        system_ros=yes
        if [ -n "${DISTRO:-}" ] && [ "$DISTRO" != "$ROS_DISTRO" ]; then
            fail "DISTRO=$DISTRO was asked for, but ROS 2 $ROS_DISTRO is sourced; run it in a shell without a sourced ROS 2."
        fi
        distro=$ROS_DISTRO
    else
        system_ros=no
        distro=${DISTRO:-jazzy}
        [ -f "requirements/$distro-build.txt" ] ||
            fail "unknown DISTRO=$distro; known are: $(ls requirements | sed -n 's/-build.txt//p' | xargs)."
    fi
    local suffix=
    [ "$distro" = jazzy ] || [ "$system_ros" = yes ] || suffix=-$distro
    venv=$root/.venv$suffix
    build=$root/build$suffix
    install=$root/install$suffix
}

# ------------------------------------------------------------------------------------------------- system packages

# The wheels exist for CPython 3.11 and 3.12; the type support is compiled, so the headers must be there.
interpreter_is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}
interpreter_has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' >/dev/null 2>&1
}
interpreter_has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

choose_python() {
    local candidate
    for candidate in python3 python3.12 python3.11 /usr/bin/python3; do
        if interpreter_is_suitable "$candidate" && interpreter_has_headers "$candidate" && interpreter_has_venv "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    python=
    return 1
}

need_system_packages() {
    local missing=() suitable
    command -v c++ >/dev/null && command -v cc >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    command -v cmake >/dev/null || missing+=(cmake)
    choose_python || missing+=(python3 python3-dev python3-venv)
    [ ${#missing[@]} -eq 0 ] && return
    local line="apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || fail "missing: ${missing[*]} (or what they are called on this system); install them."
    [ "$(id -u)" = 0 ] || fail "the system lacks some packages; run: sudo $line"
    say "installing system packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    $line -qq >/dev/null
    suitable=$(choose_python && echo yes || true)
    [ -n "$suitable" ] || fail "no Python 3.11 or 3.12 with headers and venv was found; install one and put it on PATH as python3."
    choose_python
}

# ------------------------------------------------------------------------------------------------- ROS 2 as wheels

# A terminal may have this or another workspace sourced: start from an environment without any ROS 2 in it.
forget_sourced_workspaces() {
    unset AMENT_PREFIX_PATH AMENT_CURRENT_PREFIX CMAKE_PREFIX_PATH COLCON_PREFIX_PATH COLCON_CURRENT_PREFIX \
        LD_LIBRARY_PATH PKG_CONFIG_PATH PYTHONPATH PYTHONHOME VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE ROS_DISTRO
}

prepare_wheels() {
    forget_sourced_workspaces
    local files wanted
    files=(requirements/"$distro"-run.txt requirements/"$distro"-build.txt requirements/python.txt requirements/tools.txt
        requirements/test.txt)
    need_system_packages
    wanted=$(cat "${files[@]}" | sha256sum)
    if [ ! -x "$venv/bin/python3" ] || ! "$venv/bin/python3" -c '' 2>/dev/null; then
        say "creating $(basename "$venv") with $("$python" --version)"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    if [ "$(cat "$venv/.requirements" 2>/dev/null)" != "$wanted" ]; then
        say "installing ROS 2 $distro and the tools as wheels (a minute or two, once)"
        local arguments=() file
        for file in "${files[@]:1}"; do arguments+=(-r "$file"); done
        "$venv/bin/python3" -m pip install -qq --disable-pip-version-check --no-compile "${arguments[@]}"
        make_prefix
        echo "$wanted" >"$venv/.requirements"
    fi
    # shellcheck disable=SC1091
    . "$venv/bin/activate"
    . "$venv/local_setup.sh"
}

# The virtual environment is the ROS 2 prefix.  The setup files of a workspace built upon it source these, so that
# `. .venv/bin/activate && . install/setup.bash` is all that a terminal needs.
make_prefix() {
    cat >"$venv/local_setup.sh" <<EOF
# Makes the wheels of ROS 2 in this virtual environment visible as a prefix.
for _evse_variable in AMENT_PREFIX_PATH CMAKE_PREFIX_PATH; do
  eval "_evse_value=\\\${\$_evse_variable-}"
  case ":\$_evse_value:" in
    *":$venv:"*) ;;
    *) export "\$_evse_variable=$venv\${_evse_value:+:\$_evse_value}" ;;
  esac
done
unset _evse_variable _evse_value
EOF
    echo ". \"$venv/local_setup.sh\"" | tee "$venv/local_setup.bash" >"$venv/local_setup.zsh"
}

# With a sourced ROS 2 nothing is installed: its libraries are named where they are missing.
check_libraries() {
    local missing
    missing=$(python3 -c 'import importlib.util, sys
print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))' rclpy rich serial yaml)
    [ -z "$missing" ] || fail "Python finds no ${missing// /, no }; run: rosdep install --from-paths . --ignore-src -y"
}

prepare() {
    choose_distribution
    if [ "$system_ros" = yes ]; then check_libraries; else prepare_wheels; fi
}

# The pure packages and their tests need no ROS 2: the environment of the wheels serves where it is there, else a small
# one of its own.
prepare_pure() {
    choose_distribution
    if [ "$system_ros" = yes ]; then return; fi
    if [ ! -x "$venv/bin/python3" ]; then
        venv=$root/.venv-pure
        if [ ! -x "$venv/bin/python3" ]; then
            need_system_packages
            say "creating $(basename "$venv")"
            "$python" -m venv "$venv"
            "$venv/bin/python3" -m pip install -qq --disable-pip-version-check -r requirements/python.txt \
                -r requirements/test.txt
        fi
    fi
    # shellcheck disable=SC1091
    . "$venv/bin/activate"
}

# ------------------------------------------------------------------------------------------------- build

sources() {
    find CMakeLists.txt package.xml plugin.xml pyproject.toml cmake msg srv action evse_manager launch config rqt rviz \
        -type f ! -name '*.pyc' -printf "$1" 2>/dev/null | LC_ALL=C sort || true  # not every directory exists
}

build_package() {
    local stamp=$build/.sources names=$build/.source_names state
    state=$(sources '%p %T@ %s\n'; cat "$venv/.requirements" 2>/dev/null || true)
    if [ -f "$install/setup.bash" ] && [ "$state" = "$(cat "$stamp" 2>/dev/null)" ]; then
        return
    fi
    mkdir -p "$build"
    # Files that are gone from the sources must not remain among the installed or generated ones.
    if [ -f "$names" ]; then
        local gone
        gone=$(LC_ALL=C comm -23 "$names" <(sources '%p\n'))
        [ -z "$gone" ] || rm -rf "$install/evse_manager"
        case $gone in *msg/* | *srv/* | *action/*) rm -rf "$build/evse_manager" ;; esac
    fi
    say "building ($distro; the interfaces take a few minutes, once)"
    # Without MAKEFLAGS colcon adds -l, and make then waits for the load of its own compilers to fall.
    MAKEFLAGS=${MAKEFLAGS:--j$(nproc)} CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} colcon --log-base "$build/log" build \
        --base-paths "$root" --packages-select evse_manager --build-base "$build" --install-base "$install" \
        --event-handlers console_direct- console_cohesion+ summary- status- \
        --cmake-args -DCMAKE_BUILD_TYPE=Release -DPython3_EXECUTABLE="$(command -v python3)" -DBUILD_TESTING=OFF \
        >"$build/output.txt" 2>&1 ||
        { tail -n 60 "$build/output.txt" >&2; fail "the build failed; all of its output is in $build/output.txt."; }
    sources '%p\n' >"$names"
    printf '%s\n' "$state" >"$stamp"
    say "built into $(basename "$install")/; to use it: $(use_hint)"
}

use_hint() {
    [ "$system_ros" = yes ] || printf '. %s/bin/activate && ' "$(basename "$venv")"
    printf '. %s/setup.bash' "$(basename "$install")"
}

source_workspace() {
    set +u
    # shellcheck disable=SC1091
    . "$install/setup.bash"
    set -u
}

# ------------------------------------------------------------------------------------------------- checks

has_module() { python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1"; }

lint() {
    if [ "$system_ros" = yes ] && ! { command -v ruff && command -v mypy; } >/dev/null; then
        say "not linted: ruff and mypy are not installed (pip install -r requirements/tools.txt)"
        return
    fi
    ruff check .
    ruff format --check .
    mypy evse_manager
}

# Tests of the packages that need ROS 2; all others are pure and run from the checkout, without ROS 2.
ros_tests='build cli demo depot interfaces nodes rqt'

# What a second distribution may fail; the others concern what is the same in all.
of_distribution='build interfaces rqt demo/test_depot_demo.py cli/test_watch.py cli/test_everywhere.py
    depot/test_depot_processes.py depot/test_two_machines.py depot/test_worker.py nodes/test_charge.py
    nodes/test_definitions.py
    nodes/test_diagnostics.py nodes/test_ending.py nodes/test_energy_manager.py nodes/test_exit_limit.py
    nodes/test_external_ready.py nodes/test_faults_of_processes.py nodes/test_graph.py nodes/test_hanging_executor.py
    nodes/test_launch.py nodes/test_loop_supervisor.py nodes/test_middleware.py nodes/test_neighbours.py
    nodes/test_one_in_command.py nodes/test_parameters.py nodes/test_publishers.py nodes/test_record_services.py
    nodes/test_runtime.py nodes/test_session.py nodes/test_simulated_time.py nodes/test_site_markers.py nodes/test_wall_clock.py
    nodes/test_without_events_executor.py'

# Tests that start processes mostly wait for these, so more of them than cores run side by side, file by file; what
# needs the cores for itself (marked "alone") comes last, each file in a process of its own.  Real processes and ports on a machine that may be busy: a
# test of these that fails is retried, and reported as retried.  Pure tests are deterministic and never retried.
side_by_side=4

# An option of pytest 9 alone; the suite also runs with the pytest of the distributions.
pytest_options() {
    python3 - <<'END'
import pytest
if pytest.version_tuple >= (9,):
    print('-o faulthandler_exit_on_timeout=true')
END
}

# Sets the array `chosen` from PYTEST_ARGS: words that name tests become paths.
choose_tests() {
    chosen=()
    local word paths=no
    for word in ${PYTEST_ARGS:-}; do
        case $word in
            test | test/*) chosen+=("$root/$word") paths=yes ;;
            *) chosen+=("$word") ;;
        esac
    done
    [ $paths = yes ] || chosen+=("$@")
}

# Sets the arrays `pure` and `ros`: the directories of tests of each kind.
divide_tests() {
    pure=() ros=()
    local directory
    for directory in "$root"/test/*/; do
        directory=$(basename "$directory")
        [ "$directory" != data ] && [ "$directory" != __pycache__ ] || continue
        case " $ros_tests " in
            *" $directory "*) ros+=("$root/test/$directory") ;;
            *) pure+=("$root/test/$directory") ;;
        esac
    done
    pure+=("$root/test/build/test_layers.py")
}

run_pytest() { python3 -m pytest -c "$root/pyproject.toml" --rootdir "$root" -o cache_dir="$build/test/cache" "$@"; }

test_pure() {
    local pure ros chosen parallel=()
    divide_tests
    choose_tests "${pure[@]}"
    ! has_module xdist || parallel=(-n "$(nproc)" --dist loadfile)
    mkdir -p "$build/test"
    (
        unset AMENT_PREFIX_PATH
        export PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1
        cd "$build/test"
        run_pytest "${parallel[@]}" --junitxml "$build/test/pure.xml" "${chosen[@]}"
    )
}

# Runs the given tests, or those of PYTEST_ARGS, against what was built.
test_ros() {
    local ros=("$@") chosen several=() retried=() status=0
    mkdir -p "$build/test"
    export ROS_PYTHON_CHECK_FIELDS=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
    cd "$build/test"  # outside of the checkout, whose evse_manager/ is not what is tested
    if [ -n "${PYTEST_ARGS:-}" ]; then
        choose_tests "${ros[@]}"
        # shellcheck disable=SC2046
        run_pytest $(pytest_options) "${chosen[@]}"
        return
    fi
    ! has_module xdist || several=(-n "$side_by_side" --dist loadfile)
    # The order of test/conftest.py, the long files first, instead of that by the number of tests (newer xdist).
    ! python3 -m pytest --help | grep -q no-loadscope-reorder || several+=(--no-loadscope-reorder)
    ! has_module pytest_rerunfailures || retried=(--reruns 2 -r R)
    # shellcheck disable=SC2046
    run_pytest $(pytest_options) "${several[@]}" "${retried[@]}" -m 'not alone' --junitxml "$build/test/processes.xml" "${ros[@]}" || status=1
    local file
    for file in $(grep -rl --include='test_*.py' 'mark\.alone' "${ros[@]}" | LC_ALL=C sort); do
        # shellcheck disable=SC2046
        run_pytest $(pytest_options) "${retried[@]}" -m alone --junitxml "$build/test/alone.$(basename "$file" .py).xml" "$file" ||
            status=1
    done
    return $status
}

# ------------------------------------------------------------------------------------------------- commands

command=${1:-build}
shift || true
case $command in
    build)
        prepare
        build_package
        ;;
    run)
        prepare
        build_package
        source_workspace
        exec "$@"
        ;;
    demo)
        prepare
        build_package
        source_workspace
        [ -z "${DRIVER:-}" ] || exec evse run evse_demo --driver "$DRIVER"
        exec evse run depot_demo ${CONNECTORS:+--connectors "$CONNECTORS"}
        ;;
    test)
        prepare
        build_package
        lint
        status=0
        [ -n "${PYTEST_ARGS:-}" ] || test_pure || status=1
        source_workspace
        divide_tests
        test_ros "${ros[@]}" || status=1
        exit $status
        ;;
    test-pure)
        prepare_pure
        test_pure
        ;;
    test-ros)
        prepare
        build_package
        source_workspace
        divide_tests
        test_ros "${ros[@]}"
        ;;
    test-distribution)
        prepare
        build_package
        source_workspace
        # shellcheck disable=SC2086
        test_ros $(printf "$root/test/%s " $of_distribution)
        ;;
    lint)
        prepare
        lint
        ;;
    docs)
        prepare
        build_package
        source_workspace
        for generator in docs/generate_*.py; do
            python3 "$generator"
        done
        ;;
    clean)
        choose_distribution
        rm -rf "$build" "$install" log .mypy_cache .ruff_cache .pytest_cache .hypothesis
        [ -z "${DEEP:-}" ] || rm -rf "$venv"
        ;;
    *) fail "unknown command '$command'; known are: build demo test test-pure test-ros test-distribution lint docs clean run." ;;
esac
