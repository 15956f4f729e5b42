"""A layer → a program → source → something that runs. Every stage is a value that can be printed."""
