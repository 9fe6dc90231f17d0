"""From files to examples: what a file holds, its rows, and what the fields of a row mean."""
