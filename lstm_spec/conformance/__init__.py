"""Real layers and files held against what is derived: read, recognize, solve the sizes, compare, report."""
