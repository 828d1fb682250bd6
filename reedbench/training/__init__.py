"""Training: data order, the loop, resumable state, segments."""
