"""Program → source text, one module a target: tables from ops to text, and how a region becomes a function."""
