"""`python -m trimon`."""

from trimon.cli.main import main

if __name__ == "__main__":
    main()
