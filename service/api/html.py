"""Pages for people: what a browser may do on them."""

from fastapi import Response

ALWAYS = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


def answer(page: bytes, *, scripts: str, styles: str) -> Response:
    """`page` and a policy with the sources of its scripts and styles; nothing is loaded from elsewhere."""
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy, **ALWAYS})
