"""Views: each command's result as tables for a person and as a JSON document for a program."""
