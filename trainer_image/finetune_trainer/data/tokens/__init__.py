"""From a conversation to token ids with a mask of what has loss, and to rows of packed examples."""
