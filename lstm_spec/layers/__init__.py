"""A cell over time: the layer that is specified, run and checked, and the values that go with it."""
