"""Texts for the examples: written for this project, about people and companies that do not exist."""
