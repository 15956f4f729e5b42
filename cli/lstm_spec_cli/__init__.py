"""The command `lstm-spec`: one file a command, each parse → call the library → an `Answer`.

Nothing here knows what an LSTM is, and nothing else imports typer or rich. SymPy and the library's rooms are imported
inside the commands, so that `--help` is quick.
"""
