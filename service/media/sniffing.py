"""Bytes without a Content-Type: what they are, by how they begin."""

import binascii

from service.media.negotiation import JPEG, NPY, PNG, TIFF, WEBP
from service.problems import Fault, InvalidFields, UnreadablePicture

MAGIC = {
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8\xff": JPEG,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,  # BigTIFF, which its reader refuses in words
    b"MM\0+": TIFF,
    b"\x93NUMPY": NPY,
}


def sniff(data: bytes) -> str:
    """The media type of `data`.

    Raises:
        UnreadablePicture: it begins like nothing that is read.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            return kind
    raise UnreadablePicture(f"The bytes begin like none of {', '.join(dict.fromkeys([*MAGIC.values(), WEBP]))}.")


def unpack(text: str, pointer: str) -> bytes:
    """The bytes in base64 of the JSON field at `pointer`.

    Raises:
        InvalidFields: it is not base64 to the letter (RFC 4648, section 4, padding included).
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # of characters that are not ASCII; binascii's own is one as well
        detail = f"is not base64: {str(error)[0].lower()}{str(error)[1:]}"
        if text.startswith("data:"):
            detail = "is not base64: it is a data URI, leave out what stands before its base64, the comma included"
        elif text.split() != [text]:
            detail = "is not base64: it has line breaks or spaces, leave them out"
        elif "-" in text or "_" in text:
            detail = "is not base64: it has the URL-safe alphabet, send + for - and / for _"
        raise InvalidFields([Fault(pointer, detail)]) from None
