"""Language models: n-grams and LSTMs."""
