#!/usr/bin/env bash
# Mutation testing of one pure package; `make mutants` calls it.
#
# usage: tools/mutants.sh charging|metering|lease|energy
#
# A test that reads the source, and so finds every change of a number, is left out.
#
# Works in a copy below build/, with mutmut in an environment of its own. Prints the score and the survivors; each of
# these is inspected by `cd build/mutants/PACKAGE && ../venv/bin/mutmut show NAME`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
package=${1:?usage: tools/mutants.sh charging|metering|lease|energy}
case $package in
    charging) tests='"test/charging/"' ;;
    metering) tests='"test/metering/", "--deselect=test/metering/test_thresholds.py::test_no_other_module_of_the_package_has_a_number_of_its_own"' ;;
    lease) tests='"test/lease/", "test/manager/", "test/board/test_lease.py", "test/board/test_closing.py"' ;;
    energy) tests='"test/energy/"' ;;
    *) echo "mutants.sh: unknown package '$package'; choose charging, metering, lease or energy." >&2; exit 2 ;;
esac
folder=$root/build/mutants
venv=$folder/venv
mkdir -p "$folder"
if [ ! -x "$venv/bin/mutmut" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -qq --disable-pip-version-check -r "$root/requirements/python.txt" \
        -r "$root/requirements/test.txt" -r "$root/requirements/mutants.txt"
fi
copy=$folder/$package
rm -rf "$copy"
mkdir "$copy"
cd "$root"
git ls-files -z evse_manager test pyproject.toml docs | tar --null --files-from - -cf - | tar -xf - -C "$copy"
cd "$copy"
cat >>pyproject.toml <<END

[tool.mutmut]
source_paths = ["evse_manager/$package/"]
pytest_add_cli_args_test_selection = [$tests]
also_copy = ["evse_manager/", "test/", "docs/"]
END
"$venv/bin/mutmut" run --max-children "$(nproc)" | tr '\r' '\n' | tail -n 3
"$venv/bin/mutmut" results >survivors.txt
"$venv/bin/python3" - "$package" <<'END'
import json
import pathlib
import sys

SURVIVED = {0, 5, 33}
"""Exit codes of mutmut: no test failed; no test reaches the function (5 and 33)."""

killed = survived = 0
for path in pathlib.Path('mutants').rglob('*.meta'):
    for code in json.loads(path.read_text())['exit_code_by_key'].values():
        if code in SURVIVED:
            survived += 1
        elif code is not None:
            killed += 1
total = killed + survived
print(f'{sys.argv[1]}: {killed} of {total} mutants killed ({100 * killed / max(1, total):.1f} %); '
      'the survivors are in survivors.txt')
END
