"""What the words of a whole document say, beside its chunks: a bag of words, kept without pickle."""
