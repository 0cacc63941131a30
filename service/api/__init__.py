"""One file per endpoint: request, answer, handler."""
