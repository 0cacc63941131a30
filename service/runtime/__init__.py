"""Arrays to arrays. Nothing here knows HTTP or the bytes of a picture."""
