"""`python -m ritilib` is `riti`."""

from ritilib.cli.main import main

if __name__ == "__main__":
    main()
