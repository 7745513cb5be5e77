"""Pictures that the platform draws: QR codes that a phone can read."""

import io
from functools import lru_cache

import qrcode


@lru_cache(maxsize=256)
def qr_png(text: str, width: int = 430) -> bytes:
    """Return a PNG of about `width` pixels that decodes to `text`."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(text)
    code.make(fit=True)
    code.box_size = max(2, width // (code.modules_count + 2 * code.border))
    out = io.BytesIO()
    code.make_image().save(out, "PNG")
    return out.getvalue()
