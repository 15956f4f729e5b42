"""A source held against what is derived of it → a report.

arguments    x, h and c that somebody is about to hand over
lengths      the lengths that a node has as a constant
dtypes       whether the parameters are floating-point numbers
numbers      our compiled code beside the framework's own layer
evidence     one step, of an engine or recorded: as which convention it agrees
checking     `check`: one source → its report, from these three
collecting   many files → one report
contract     a report → the text of a contract: `write_contract`
clauses      the text of a contract → what it holds: `read_contract`
toml_lines   on which line of it each key stands
keeping      a report held to a contract
accepting    what recurs beside the layers, unread, held to it
matching     which clause of it is of which place
"""
