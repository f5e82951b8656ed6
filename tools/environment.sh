#!/usr/bin/env bash
# Sets up, builds, checks and runs the package; `make` calls it.
#
# usage: tools/environment.sh build|demo|test|lint|docs|clean
#        tools/environment.sh run COMMAND…       run a command in the built environment
#
# environment: DISTRO       jazzy (default) or kilted
#              DRIVER       board driver of the demo
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

ros_is_sourced() { [ -n "${ROS_DISTRO:-}" ] && command -v ros2 >/dev/null && command -v colcon >/dev/null; }

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
    files=(requirements/"$distro"-run.txt requirements/"$distro"-build.txt requirements/python.txt requirements/tools.txt)
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

# ------------------------------------------------------------------------------------------------- build

sources() {
    find CMakeLists.txt package.xml pyproject.toml cmake msg srv action evse_manager launch config \
        -type f ! -name '*.pyc' -printf "$1" 2>/dev/null | LC_ALL=C sort || true  # not every directory exists
}

build_package() {
    local stamp=$build/.sources names=$build/.source_names state
    state=$(sources '%p %T@ %s\n'; cat "$venv/.requirements" 2>/dev/null || true)
    if [ -f "$install/setup.bash" ] && [ "$state" = "$(cat "$stamp" 2>/dev/null)" ]; then
        return
    fi
    mkdir -p "$build"
    # Files that are gone from the sources must not live on among the installed or generated ones.
    if [ -f "$names" ]; then
        local gone
        gone=$(LC_ALL=C comm -23 "$names" <(sources '%p\n'))
        [ -z "$gone" ] || rm -rf "$install/evse_manager"
        case $gone in *msg/* | *srv/* | *action/*) rm -rf "$build/evse_manager" ;; esac
    fi
    say "building ($distro)"
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} colcon --log-base "$build/log" build \
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
    local rooms=() room
    for room in interface charging metering lease board energy simulation store; do
        [ ! -d "evse_manager/$room" ] || rooms+=("evse_manager/$room")
    done
    mypy "${rooms[@]}"
}

# Tests of rooms that start processes mostly wait for these, so more of them than cores run side by side, file by
# file; what needs the cores for itself (marked "alone") comes last.  Real processes and ports on a machine that may be
# busy: a test that fails is tried again, and reported as rerun.
process_rooms='build cli depot nodes'
side_by_side=4

test_installed() {
    mkdir -p "$build/test"
    export ROS_PYTHON_CHECK_FIELDS=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
    local pytest=(python3 -m pytest -c "$root/pyproject.toml" --rootdir "$root" -o cache_dir="$build/test/cache")
    cd "$build/test"  # outside of the checkout, whose evse_manager/ is not what is tested
    if [ -n "${PYTEST_ARGS:-}" ]; then
        local arguments=() word paths=no
        for word in $PYTEST_ARGS; do
            case $word in
                test | test/*) arguments+=("$root/$word") paths=yes ;;
                *) arguments+=("$word") ;;
            esac
        done
        [ $paths = yes ] || arguments+=("$root/test")
        "${pytest[@]}" "${arguments[@]}"
        return
    fi
    local pure=() processes=() room
    for room in "$root"/test/*/; do
        room=$(basename "$room")
        case " $process_rooms " in
            *" $room "*) processes+=("$root/test/$room") ;;
            *) pure+=("$root/test/$room") ;;
        esac
    done
    local status=0 parallel=() several=()
    ! has_module xdist || { parallel=(-n "$(nproc)" --dist loadfile) several=(-n "$side_by_side" --dist loadfile); }
    ! has_module pytest_rerunfailures || pytest+=(--reruns 2 -r R)
    "${pytest[@]}" "${parallel[@]}" --junitxml "$build/test/pure.xml" "${pure[@]}" || status=1
    "${pytest[@]}" "${several[@]}" -m 'not alone' --junitxml "$build/test/processes.xml" "${processes[@]}" || status=1
    "${pytest[@]}" -m alone --junitxml "$build/test/alone.xml" "${processes[@]}" || status=1
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
        exec evse_demo ${DRIVER:+--driver "$DRIVER"}
        ;;
    test)
        prepare
        build_package
        lint
        source_workspace
        test_installed
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
    *) fail "unknown command '$command'; known are: build demo test lint docs clean run." ;;
esac
