"""``python -m fourview``, which is also what launchers of several processes start."""

from fourview.cli.main import main

if __name__ == "__main__":
    main()
