def gather_decomposed(graph, scope, contents): pass
