"""The history: runs of all competitions, how each was asked for, and which may go."""
