"""Use case: a verdict leaves the house: rendered, sealed, kept with what it rests on, checked and judged again."""
