"""From probabilities to answers, where a document has any number of labels."""
