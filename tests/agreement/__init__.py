"""A client and its tests, written from the agreement on the HTTP API alone, by somebody who had not seen the service.

A test here is changed only when the agreement is. "Reading:" marks a place where the agreement leaves a choice.
"""
