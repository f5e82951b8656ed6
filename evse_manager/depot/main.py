"""The executable ``depot``: checks and prints a site file."""

import argparse
import sys
from collections.abc import Sequence

from evse_manager.depot.site_file import SiteFileError, load_site
from evse_manager.depot.site_text import site_lines

EXIT_OK, EXIT_USAGE = 0, 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='depot',
        description='Describes many connectors on one grid connection by one file (docs/depot.md).',
        epilog='exit codes: 0 the file is valid   2 wrong usage, or a file with mistakes (all are listed)',
    )
    parser.add_argument('file', metavar='FILE', help='the site file')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--check', action='store_true', help='look for mistakes in the file, and start nothing')
    what.add_argument('--print', action='store_true', help='print the tree with the limits that follow')
    return parser.parse_args(None if argv is None else list(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the executable; return its exit code."""
    given = parse(argv)
    try:
        site = load_site(given.file)
    except SiteFileError as error:
        count = len(error.mistakes)
        print(f'{error}\ndepot: {count} mistake{"s" * (count != 1)} in {given.file}.', file=sys.stderr)
        return EXIT_USAGE
    if given.print:
        print('\n'.join(site_lines(site)))
    else:
        print(f'{given.file}: {len(site.connectors)} connectors, no mistakes.')
    return EXIT_OK
