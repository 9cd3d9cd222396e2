/**
 * Reference client of Ticketgate: api_token, signatures, sealed tokens, URLs. One ES module for Node 16 and newer and for
 * browsers, over WebCrypto (which browsers give to https: pages alone).
 *
 * A page in a browser cannot keep a client_secret: this is for Node, and for apps whose code is not open to everybody.
 *
 *     const gate = new Ticketgate("ios", clientSecret, { zone: "Asia/Shanghai" });
 *     const login = await post(await gate.url("https://api.example/index.php?mod=user&ctl=auth&act=login", "user/auth/login"), form);
 *     await gate.login(login.data);
 *     const info = await get(await gate.url("https://api.example/index.php?mod=user&ctl=info&act=get", "user/info/get"));
 *
 * An endpoint is `module/controller/action`, each as it is sent.
 */

const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto;
const utf8 = new TextEncoder();

export class Ticketgate {
  /** Seconds that this computer's clock is behind the gate's (header Date, or X-Ticketgate-Time of a refused signature). */
  behind = 0;
  userId = "";
  /** The plain token, as it is sent. */
  userToken = "";

  #clientId;
  #secret;
  #zone;
  #algorithm;

  /** `zone` is the gate's `time.zone`; `algorithm` that of api_token: md5 or hmac-sha256. */
  constructor(clientId, clientSecret, { zone = "UTC", algorithm = "md5" } = {}) {
    this.#clientId = clientId;
    this.#secret = utf8.encode(clientSecret);
    this.#zone = zone;
    this.#algorithm = algorithm;
  }

  /** Takes up the `data` of a login's reply: from now on calls carry this user. */
  async login({ user_id, user_token }) {
    this.userToken = user_token.startsWith("v1.") ? await this.openToken(user_token) : user_token;
    this.userId = user_id;
  }

  /** The URL with the credentials for a call of the endpoint. */
  async url(url, endpoint) {
    const credentials = { client_id: this.#clientId, api_token: await this.apiToken(endpoint) };
    if (this.userToken !== "") Object.assign(credentials, { user_id: this.userId, user_token: this.userToken });
    return withParameters(url, credentials);
  }

  /** The same, signed. `body` is what will be sent: a string or bytes. */
  async signedUrl(method, url, endpoint, body = "", algorithm = "hmac-sha256") {
    const timestamp = String(this.#now());
    const nonce = hex(crypto.getRandomValues(new Uint8Array(16)));
    const unsigned = withParameters(await this.url(url, endpoint), { timestamp, nonce });
    const { pathname, search } = new URL(unsigned);
    const query = search.slice(1);
    const sign =
      algorithm === "md5"
        ? this.signMd5(pathname, query, timestamp, this.userToken || (await this.apiToken(endpoint)))
        : await this.sign(method, pathname, query, timestamp, nonce, this.userToken, body);
    return withParameters(unsigned, { sign });
  }

  /** api_token of an endpoint, for a date of the gate's zone, today's where none is given. */
  async apiToken(endpoint, date = this.#today()) {
    const parts = endpoint.split("/");
    if (parts.length !== 3) throw new TypeError(`an endpoint is module/controller/action, not ${endpoint}`);
    parts.push(date);
    if (this.#algorithm === "hmac-sha256") return hex(await hmac(this.#secret, utf8.encode(parts.join("\n"))));
    return md5(join(utf8.encode(parts.join("")), this.#secret));
  }

  /** The signature by HMAC-SHA256. `userToken` is empty where no user is logged in. */
  async sign(method, path, query, timestamp, nonce, userToken, body) {
    const pairs = unsignedPairs(query).sort(); // in ASCII, JavaScript's order of texts is that of their bytes
    const bytes = typeof body === "string" ? utf8.encode(body) : body;
    const digest = hex(new Uint8Array(await subtle().digest("SHA-256", bytes)));
    const lines = [method, path, pairs.join("&"), timestamp, nonce, userToken, digest];
    return hex(await hmac(this.#secret, utf8.encode(lines.join("\n"))));
  }

  /** The signature by the old recipe. `token` is user_token, or api_token where no user is logged in. */
  signMd5(path, query, timestamp, token) {
    const pairs = unsignedPairs(query);
    const target = pairs.length ? `${path}?${pairs.join("&")}` : path;
    return md5(join(utf8.encode(`${target}${timestamp}${token}`), this.#secret));
  }

  /** Opens a sealed user_token. */
  async openToken(sealed) {
    if (!/^v1\.[\w-]{38,}$/.test(sealed)) throw new Error("this is no sealed token");
    const bytes = base64url(sealed.slice(3));
    const secret = await subtle().importKey("raw", this.#secret, "HKDF", false, ["deriveKey"]);
    const info = utf8.encode("ticketgate user_token");
    const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
    const key = await subtle().deriveKey(hkdf, secret, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    const plain = await subtle()
      .decrypt({ name: "AES-GCM", iv: bytes.subarray(0, 12) }, key, bytes.subarray(12))
      .catch(() => {
        throw new Error("the token was sealed under another secret, or changed");
      });
    return new TextDecoder().decode(plain);
  }

  #now() {
    return Math.floor(Date.now() / 1000) + this.behind;
  }

  #today() {
    const day = new Intl.DateTimeFormat("sv-SE", { timeZone: this.#zone }); // Sweden writes 2026-11-20
    return day.format(new Date(this.#now() * 1000));
  }
}

function subtle() {
  if (!crypto.subtle) throw new Error("no WebCrypto: browsers give it to https: pages alone");
  return crypto.subtle;
}

async function hmac(key, bytes) {
  const imported = await subtle().importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle().sign("HMAC", imported, bytes));
}

/** Adds parameters to a URL, which is first written as `fetch` will send it; a fragment is never sent. */
function withParameters(url, parameters) {
  const whole = new URL(url);
  const added = Object.entries(parameters).map(([name, value]) => `${name}=${escape3986(value)}`);
  const query = [whole.search.slice(1), ...added].filter((text) => text !== "").join("&");
  return `${whole.origin}${whole.pathname}?${query}`;
}

function escape3986(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The pairs of a query, without the signature itself. */
function unsignedPairs(query) {
  const pairs = query === "" ? [] : query.split("&");
  return pairs.filter((pair) => pair !== "sign" && !pair.startsWith("sign="));
}

function base64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function join(first, second) {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

const MD5_SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const MD5_SINES = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);

/** md5 (RFC 1321) as lower-case hex; WebCrypto has none. */
function md5(bytes) {
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const words = new DataView(padded.buffer);
  words.setUint32(padded.length - 8, bytes.length << 3, true);
  words.setUint32(padded.length - 4, Math.floor(bytes.length / 2 ** 29), true);

  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476].map((word) => word | 0);
  for (let at = 0; at < padded.length; at += 64) {
    const mixed = md5Block(state, (index) => words.getUint32(at + 4 * index, true));
    state = state.map((word, i) => (word + mixed[i]) | 0);
  }
  const digest = new DataView(new ArrayBuffer(16));
  state.forEach((word, i) => digest.setInt32(4 * i, word, true));
  return hex(new Uint8Array(digest.buffer));
}

function md5Block([a, b, c, d], word) {
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    const [mix, index] = [
      [(b & c) | (~b & d), i],
      [(d & b) | (~d & c), 5 * i + 1],
      [b ^ c ^ d, 3 * i + 5],
      [c ^ (b | ~d), 7 * i],
    ][round];
    const sum = (a + mix + MD5_SINES[i] + word(index % 16)) | 0;
    const shift = MD5_SHIFTS[4 * round + (i % 4)];
    [a, b, c, d] = [d, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0, b, c];
  }
  return [a, b, c, d];
}
