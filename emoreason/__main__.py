"""`python -m emoreason`, for launchers such as torchrun that want a module."""

from emoreason.cli import main

if __name__ == "__main__":
    main()
