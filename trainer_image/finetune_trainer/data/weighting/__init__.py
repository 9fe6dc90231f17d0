"""How much each example counts."""
