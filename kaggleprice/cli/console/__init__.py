"""What a person or a pipeline sees: results on stdout, everything else on stderr.

`streams` knows what the standard streams can take, `text` makes text from data safe to print.
They load nothing, so that help and completion are instant; the rest needs rich: `printing` prints
results and errors, `reporting` tells of progress, `displays` are the forms in which it is told.
"""
