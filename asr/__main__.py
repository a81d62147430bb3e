"""Run `python -m asr COMMAND ...`, which is `asr COMMAND ...`."""

import sys

from asr.cli.umbrella import main

sys.exit(main())
