"""Reference client of Ticketgate: api_token, signatures, sealed tokens, URLs. One file for Python 3.9 and newer.

The standard library is enough. Sealed tokens are opened by `cryptography` where it is installed, and otherwise by a small AES-GCM
at the end of this file, which is slow (a millisecond a token) and does not hide its key from other programs on the same processor.

    gate = Ticketgate("ios", client_secret, zone="Asia/Shanghai")
    login = post(gate.url("https://api.example/index.php?mod=user&ctl=auth&act=login", "user/auth/login"), form)
    gate.login(login["data"])
    info = get(gate.url("https://api.example/index.php?mod=user&ctl=info&act=get", "user/info/get"))

An endpoint is `module/controller/action`, each as it is sent. URLs must be escaped already: they are signed as they are.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from datetime import datetime, timezone
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None


class Ticketgate:
    """A client with its secret, and perhaps a user who is logged in (`user_id`, `user_token`)."""

    def __init__(self, client_id, client_secret, zone="UTC", algorithm="md5"):
        """`zone` is the gate's `time.zone`; `algorithm` that of api_token: md5 or hmac-sha256."""
        self.client_id = client_id
        self.user_id = ""
        self.user_token = ""  # the plain one, as it is sent
        # Seconds that this computer's clock is behind the gate's (header Date, or X-Ticketgate-Time of a refused signature).
        self.behind = 0
        self._secret = client_secret.encode()
        self._zone = timezone.utc if zone == "UTC" else ZoneInfo(zone)
        self._algorithm = algorithm

    def login(self, data):
        """Takes up the `data` of a login's reply: from now on calls carry this user."""
        token = data["user_token"]
        self.user_token = self.open_token(token) if token.startswith("v1.") else token
        self.user_id = data["user_id"]

    def url(self, url, endpoint):
        """The URL with the credentials for a call of the endpoint."""
        credentials = {"client_id": self.client_id, "api_token": self.api_token(endpoint)}
        if self.user_token:
            credentials.update(user_id=self.user_id, user_token=self.user_token)
        return _with(url, credentials)

    def signed_url(self, method, url, endpoint, body=b"", algorithm="hmac-sha256"):
        """The same, signed. `body` is what will be sent, byte by byte."""
        timestamp, nonce = str(self._now()), secrets.token_hex(16)
        url = _with(self.url(url, endpoint), {"timestamp": timestamp, "nonce": nonce})
        path, _, query = re.sub("^[a-z]+://[^/?]*", "", url, flags=re.I).partition("?")
        path = path or "/"
        if algorithm == "md5":
            sign = self.sign_md5(path, query, timestamp, self.user_token or self.api_token(endpoint))
        else:
            sign = self.sign(method, path, query, timestamp, nonce, self.user_token, body)
        return _with(url, {"sign": sign})

    def api_token(self, endpoint, date=None):
        """api_token of an endpoint, for a date of the gate's zone, today's where none is given."""
        parts = endpoint.split("/")
        if len(parts) != 3:
            raise ValueError(f"an endpoint is module/controller/action, not {endpoint}")
        parts.append(date or datetime.fromtimestamp(self._now(), self._zone).strftime("%Y-%m-%d"))
        if self._algorithm == "hmac-sha256":
            return hmac.new(self._secret, "\n".join(parts).encode(), "sha256").hexdigest()
        return hashlib.md5("".join(parts).encode() + self._secret).hexdigest()

    def sign(self, method, path, query, timestamp, nonce, user_token, body):
        """The signature by HMAC-SHA256. `user_token` is empty where no user is logged in."""
        pairs = "&".join(sorted(_unsigned(query)))
        lines = (method, path, pairs, str(timestamp), nonce, user_token, hashlib.sha256(body).hexdigest())
        return hmac.new(self._secret, "\n".join(lines).encode(), "sha256").hexdigest()

    def sign_md5(self, path, query, timestamp, token):
        """The signature by the old recipe. `token` is user_token, or api_token where no user is logged in."""
        pairs = _unsigned(query)
        target = path + "?" + "&".join(pairs) if pairs else path
        return hashlib.md5(f"{target}{timestamp}{token}".encode() + self._secret).hexdigest()

    def open_token(self, sealed):
        """Opens a sealed user_token."""
        if not re.fullmatch(r"v1\.[A-Za-z0-9_-]{38,}", sealed):
            raise ValueError("this is no sealed token")
        text = sealed[3:]
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        # HKDF-SHA256 (RFC 5869) without salt, one block.
        extracted = hmac.digest(bytes(32), self._secret, "sha256")
        key = hmac.digest(extracted, b"ticketgate user_token\x01", "sha256")
        token = _open(key, sealed[:12], sealed[12:])
        if token is None:
            raise ValueError("the token was sealed under another secret, or changed")
        return token.decode()

    def _now(self):
        return int(time.time()) + self.behind


def _with(url, parameters):
    """Adds parameters to a URL; a fragment is never sent."""
    url = url.partition("#")[0]
    return url + ("&" if "?" in url else "?") + urlencode(parameters, quote_via=quote, safe="")


def _unsigned(query):
    """The pairs of a query, without the signature itself."""
    pairs = query.split("&") if query else []
    return [pair for pair in pairs if pair != "sign" and not pair.startswith("sign=")]


def _open(key, nonce, sealed):
    """AES-256-GCM without associated data; None where the tag is wrong."""
    if AESGCM is None:
        return _open_slowly(key, nonce, sealed)
    try:
        return AESGCM(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None


# AES-256-GCM (FIPS 197, NIST SP 800-38D) for where `cryptography` is not installed.


def _open_slowly(key, nonce, sealed):
    ciphertext, tag = sealed[:-16], sealed[-16:]
    schedule = _expand_key(key)
    hash_key = int.from_bytes(_encrypt_block(schedule, bytes(16)), "big")
    digest = 0
    lengths = (8 * len(ciphertext)).to_bytes(16, "big")
    for block in [*_blocks(ciphertext), lengths]:
        digest = _multiply(digest ^ int.from_bytes(block.ljust(16, b"\0"), "big"), hash_key)
    first = int.from_bytes(_encrypt_block(schedule, nonce + b"\0\0\0\1"), "big")
    if not hmac.compare_digest((digest ^ first).to_bytes(16, "big"), tag):
        return None
    plain = bytearray()
    for counter, block in enumerate(_blocks(ciphertext), 2):
        stream = _encrypt_block(schedule, nonce + counter.to_bytes(4, "big"))
        plain += bytes(a ^ b for a, b in zip(block, stream))
    return bytes(plain)


def _blocks(data):
    return [data[at : at + 16] for at in range(0, len(data), 16)]


def _multiply(x, y):
    """In GF(2^128), with the first bit of a block as the coefficient of 1."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def _double(byte):
    """In GF(2^8)."""
    return byte << 1 ^ (0x11B if byte & 0x80 else 0)


def _make_sbox():
    sbox, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= _double(p)  # times 3
        for shift in (1, 2, 4):
            q ^= q << shift
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0  # divided by 3
        turned = q * 0x101
        sbox[p] = (q ^ turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4) & 0xFF ^ 0x63
        if p == 1:
            return sbox


_SBOX = _make_sbox()


def _expand_key(key):
    words, constant = [key[at : at + 4] for at in range(0, 32, 4)], 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(_SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        elif len(words) % 8 == 4:
            word = bytes(_SBOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]


def _encrypt_block(schedule, block):
    state = bytes(a ^ b for a, b in zip(block, schedule[0]))
    for number, round_key in enumerate(schedule[1:], 1):
        state = bytes(_SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))  # SubBytes, ShiftRows
        if number < 14:
            state = b"".join(_mix_column(state[at : at + 4]) for at in range(0, 16, 4))
        state = bytes(a ^ b for a, b in zip(state, round_key))
    return state


def _mix_column(column):
    whole = column[0] ^ column[1] ^ column[2] ^ column[3]
    pairs = zip(column, column[1:] + column[:1])
    return bytes(a ^ whole ^ _double(a ^ b) & 0xFF for a, b in pairs)
