"""`python -m lego` is the same as `lego`."""

from lego.cli import main

if __name__ == "__main__":
    main()
