"""
Inputs for one parser, found by the code that they reach; ``fuzz_parsers.py`` starts it.

usage: fuzz_coverage.py PARSER RUNS SEED

The first byte of an input says how it is cut into pieces, or that it is the content of a frame with the right
check.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

with atheris.instrument_imports(include=['evse_manager.board']):
    from board.serial.fuzz_subjects import SUBJECTS

SEALED = 0xFF
LONGEST_INPUT = 4096


def main() -> None:
    name, runs, seed = sys.argv[1:]
    subject_class = SUBJECTS[name]

    def one(data: bytes) -> None:
        subject = subject_class()
        size, content = data[0] if data else 0, data[1:]
        if size == SEALED:
            subject.sealed(content)
        else:
            step = size or len(content) or 1
            for at in range(0, len(content), step):
                subject.feed(content[at : at + step])
        subject.recover()

    with tempfile.TemporaryDirectory() as corpus:
        for index, frame in enumerate(subject_class.frames):
            for cut in (0, 3, SEALED):
                Path(corpus, f'{index}_{cut}').write_bytes(bytes((cut,)) + frame)
        options = [f'-runs={runs}', f'-seed={seed}', f'-max_len={LONGEST_INPUT}', '-verbosity=0']
        options += [f'-artifact_prefix={tempfile.gettempdir()}/evse_{name}_']
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


if __name__ == '__main__':
    main()
