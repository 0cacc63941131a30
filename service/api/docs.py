"""GET /docs: the OpenAPI document as a page to read and to try, from files of our own."""

import base64
import hashlib

from fastapi import APIRouter, Request, Response

from service.api import html

router = APIRouter()

START = """
window.onload = () => SwaggerUIBundle({
  url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null,
  defaultModelsExpandDepth: -1, displayRequestDuration: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Harmonium</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/static/swagger-ui.css">
<style>
body {{ margin: 0; }}
.swagger-ui .info {{ margin: 24px 0 8px; }}
.swagger-ui .scheme-container, .swagger-ui .response-col_links {{ display: none; }}
.swagger-ui .responses-inner img {{ max-width: 100%; image-rendering: pixelated; min-width: 112px; }}
@media (max-width: 600px) {{
  .swagger-ui .wrapper {{ padding: 0 10px; }}
  .swagger-ui .opblock .opblock-summary-path {{ max-width: none; }}
  .swagger-ui .opblock .opblock-section-header {{ flex-wrap: wrap; height: auto; }}
  .swagger-ui .opblock .tab-header .tab-item.active h4 span::after {{ content: none; }}
  .swagger-ui table.parameters, .swagger-ui table.responses-table {{ display: block; overflow-x: auto; }}
}}
</style>
</head>
<body>
<div id="page"></div>
<script src="docs/static/swagger-ui-bundle.js"></script>
<script>{START}</script>
</body>
</html>
"""
SCRIPTS = f"'self' 'sha256-{base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()}'"
STYLES = "'self' 'unsafe-inline'"
"""Swagger UI sets style attributes."""


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The page; everything it loads is served here."""
    return html.answer(PAGE.encode(), scripts=SCRIPTS, styles=STYLES)
