"""Which endpoint a path belongs to: a name of few, whatever callers ask for."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Mount, Route

UNKNOWN = "unknown"
"""The name of all paths at which nothing is served."""


class Endpoints:
    """The path templates of routes."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        known = [route for route in routes if isinstance(route, Route | Mount)]
        self._whole = {route.path: route.path for route in known if "{" not in route.path_format}
        self._patterns = [(route.path_regex, route.path_format) for route in known if "{" in route.path_format]

    def name(self, path: str) -> str:
        """The template that the path fits, whether or not the endpoint knows what else it names."""
        if found := self._whole.get(path):
            return found
        return next((template for pattern, template in self._patterns if pattern.match(path)), UNKNOWN)
