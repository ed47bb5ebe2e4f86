"""How our requests are signed: the manner of Standard Webhooks (standardwebhooks.com), which many languages have ready.

`webhook-signature` is `v1,` and the Base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`; while two secrets are valid there are two, with a
space between them. The key is the Base64 after `whsec_`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from crm.subscribers import SECRET_PREFIX

VERSION: Final = "v1"


def signed_headers(event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that go with a body. `timestamp`: seconds since 1970; `secrets`: those that are valid now."""
    signatures = " ".join(f"{VERSION},{signature(event_id, timestamp, body, secret)}" for secret in secrets)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def signature(event_id: str, timestamp: int, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
