"""Which examples are trained on, held out or left out, once all have been read; from records alone, never from texts."""
