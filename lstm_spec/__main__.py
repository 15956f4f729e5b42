"""`python -m lstm_spec` is the command `lstm-spec`."""

import sys

from lstm_spec_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
