"""FastAPI Katas: broken modules, tests that teach, and the tools that check them.

The package is laid out as a tower; each floor knows only the floors below it:

``cli`` → ``coach``, ``render`` → ``checker``, ``workspace``, ``progress`` → ``catalog``.

``site`` makes the pages of the site, and stands beside ``cli``.

``probes`` stands alone: it can be used in any project. ``pytest_plugin`` connects pytest to the
module under test, and ``selfcheck`` proves the promises that every kata makes.
"""

__version__ = "0.1.0"
