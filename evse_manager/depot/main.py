"""The executable ``depot``: starts and supervises the nodes of a site that belong to this machine."""

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from evse_manager.depot.discovery_server import ServerAddress, ServerError, parse_address
from evse_manager.depot.site_file import SiteFileError, load_site
from evse_manager.depot.site_text import site_lines
from evse_manager.depot.supervisor import EXIT_FAILED, EXIT_OK, Supervisor

EXIT_USAGE = 2

DESCRIPTION = """\
Starts the connectors of a site, its energy manager and its authorization, and
starts again what dies. SIGHUP reloads the file: only what differs is touched.
SIGTERM or Ctrl-C withdraws power everywhere and ends. docs/depot.md has it all."""

EPILOG = """\
examples:
  depot site.yaml                      run what belongs to this machine
  depot site.yaml --check              name every mistake in the file
  depot site.yaml --host shed          run what belongs to the machine shed
  depot site.yaml --discovery-server   the same, with a discovery server on the loopback interface
  depot site.yaml --ros-args --log-level debug

exit codes:
  0 ended as asked, or the file is valid   1 could not end in order
  2 wrong usage, or a file with mistakes (all are listed)"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line up to the arguments of ROS 2."""
    parser = argparse.ArgumentParser(
        prog='depot',
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('file', metavar='FILE', type=Path, help='the site file')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--check', action='store_true', help='look for mistakes in the file, and start nothing')
    what.add_argument('--print', action='store_true', help='print the tree with the limits that follow')
    parser.add_argument(
        '--host',
        metavar='NAME',
        default=socket.gethostname(),
        help='which machine of the site file this is (default: its host name)',
    )
    parser.add_argument(
        '--discovery-server',
        metavar='ADDRESS:PORT',
        nargs='?',
        const=str(ServerAddress()),
        help='start the discovery server of Fast DDS, at this address (default: %(const)s), and use it',
    )
    return parser.parse_args(list(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the executable; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    start = arguments.index('--ros-args') if '--ros-args' in arguments else len(arguments)
    given = parse(arguments[:start])
    try:
        if given.print:
            print('\n'.join(site_lines(load_site(given.file))))
        elif given.check:
            print(f'{given.file}: {len(load_site(given.file).connectors)} connectors, no mistakes.')
        else:
            server = parse_address(given.discovery_server) if given.discovery_server else None
            return Supervisor(given.file, given.host, arguments[start:], server).run()
    except ServerError as error:
        print(f'depot: {error}', file=sys.stderr)
        return EXIT_USAGE
    except SiteFileError as error:
        count = len(error.mistakes)
        print(f'{error}\ndepot: {count} mistake{"s" * (count != 1)} in {given.file}.', file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f'depot: {error}; free what is missing and start it again.', file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK
