"""``python -m fastapi_katas`` is the ``kata`` command."""

from fastapi_katas.cli import main

if __name__ == "__main__":
    main()
