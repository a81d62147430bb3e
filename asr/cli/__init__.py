"""The commands. Each file holds one, parses arguments, and imports what is heavy inside main().

Here, before numpy is loaded, each process gets one thread of linear algebra, or `--threads N`.
"""

import sys

from asr._threads import asked_threads, limit_threads

limit_threads(asked_threads(sys.argv[1:]))
