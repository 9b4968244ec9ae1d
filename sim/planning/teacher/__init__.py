"""Teachers and students: corpora that a large model writes, and clusters that it shares with small ones."""
