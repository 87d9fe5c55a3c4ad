"""Verifies the JWT that a backend got, as a backend would: by a stock library, with the keys of the admin page."""

import json
import os

import jwt

KEYS = jwt.PyJWKClient(os.environ["KEYS_URL"])
TOLD = os.environ["TOLD"]


def verified(text: str, **claims) -> dict:
    key = KEYS.get_signing_key_from_jwt(text)
    required = {"require": ["iss", "sub", "aud", "exp", "iat", "jti"]}
    expected = {"audience": "https://models.corp.example", "issuer": "portcullis"} | claims
    return jwt.decode(text, key.key, algorithms=["EdDSA"], options=required, **expected)


def refused(text: str, **claims) -> bool:
    try:
        verified(text, **claims)
    except jwt.InvalidTokenError:
        return True
    return False


def main() -> None:
    assert refused(TOLD, audience="https://others.corp.example"), "for another audience"
    head, claims, signature = TOLD.split(".")
    assert refused(f"{head}.{claims}.{signature[::-1]}"), "signed by nobody"
    print(json.dumps({"header": jwt.get_unverified_header(TOLD), "claims": verified(TOLD)}))


main()
