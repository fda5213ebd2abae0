"""python -m hierdoc COMMAND …, the same as `hierdoc COMMAND …`."""

from hierdoc.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
