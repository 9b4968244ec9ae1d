"""How sure an answer is, and which assumption decides it."""
