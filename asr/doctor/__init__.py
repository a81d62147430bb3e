"""What will go wrong in training, found before it does: data, model, machine."""
