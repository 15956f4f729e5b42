"""A source held against what is derived of it → a report.

arguments    x, h and c that somebody is about to hand over
numbers      our compiled code beside the framework's own layer
evidence     one step, of an engine or recorded: as which convention it agrees
checking     `check`: one source → its report, from these three
collecting   many files → one report
contract     a report ↔ the text of a contract: `write_contract`, `read_contract`
keeping      a report held to a contract
"""
