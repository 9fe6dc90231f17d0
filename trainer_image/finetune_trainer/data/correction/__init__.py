"""Texts mended before anything else looks at them, and the examples left out for what they say."""
