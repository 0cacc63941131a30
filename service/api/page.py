"""GET /: a page to try the four calls on, from the files in service/page."""

from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.api import html

FOLDER = Path(__file__).parents[1] / "page"

INDEX = (FOLDER / "index.html").read_bytes()

router = APIRouter()


@router.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """The page; everything it loads is served here."""
    return html.answer(INDEX, scripts="'self'", styles="'self'")
