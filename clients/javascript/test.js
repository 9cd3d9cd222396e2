/**
 * Proves the client by the published vectors, and by a gate where one is given:
 *
 *     node test.js ../../tests/vectors.json [http://127.0.0.1:8080]
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";

import { Ticketgate } from "./ticketgate.js";

/** The reply's JSON and its X-Ticketgate-Reason. */
function call(method, url, form = "") {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": Buffer.byteLength(form) };
    const request = http.request(url, { method, headers, agent: false }, async (reply) => {
      let text = "";
      for await (const part of reply.setEncoding("utf8")) text += part;
      resolve({ ...JSON.parse(text), reason: reply.headers["x-ticketgate-reason"] ?? "" });
    });
    request.on("error", reject).end(form);
  });
}

async function vectors(file) {
  const all = JSON.parse(readFileSync(file, "utf8"));
  for (const v of all.client_token) {
    for (const algorithm of ["md5", "hmac-sha256"]) {
      const client = new Ticketgate("id", v.client_secret, { algorithm });
      assert.equal(await client.apiToken(`${v.module}/${v.controller}/${v.action}`, v.date), v[algorithm]);
    }
  }
  for (const v of all.signature) {
    const client = new Ticketgate("id", v.client_secret);
    const sign = await client.sign(v.method, v.path, v.query, v.timestamp, v.nonce, v.user_token, v.body);
    assert.equal(sign, v["hmac-sha256"]);
    assert.equal(client.signMd5(v.path, v.query, v.timestamp, v.user_token || v.api_token), v.md5);
  }
  for (const v of all.sealed_token) {
    const client = new Ticketgate("id", v.client_secret);
    assert.equal(await client.openToken(v.sealed), v.user_token);
    await assert.rejects(new Ticketgate("id", "other").openToken(v.sealed), /another secret/);
    await assert.rejects(client.openToken(`${v.sealed.slice(0, -2)}AA`), /changed/);
    await assert.rejects(client.openToken(v.user_token), /no sealed token/);
  }
}

/** The md5 of our own, over lengths around the edges of its blocks. */
async function md5() {
  for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 1000]) {
    const module = "é".repeat(length);
    const expected = createHash("md5").update(`${module}2026-11-20k`).digest("hex");
    assert.equal(await new Ticketgate("id", "k").apiToken(`${module}//`, "2026-11-20"), expected);
  }
}

async function gate(base) {
  const login = `${base}/index.php?mod=user&ctl=auth&act=login`;
  const info = `${base}/index.php?mod=user&ctl=info&act=get`;
  const client = new Ticketgate("ios", "s3cret");
  for (const algorithm of ["hmac-sha256", "md5"]) {
    const form = "username=lilei&password=lilei123";
    client.userToken = "";
    const { data } = await call("POST", await client.signedUrl("POST", login, "user/auth/login", form, algorithm), form);
    assert.match(data.user_token, /^v1\./);

    [client.userId, client.userToken] = [data.user_id, data.user_token];
    assert.equal((await call("GET", await client.url(info, "user/info/get"))).reason, "user_refused");

    await client.login(data);
    const signed = client.signedUrl("GET", info, "user/info/get", "", algorithm);
    for (const url of [await client.url(info, "user/info/get"), await signed]) {
      const reply = await call("GET", url);
      assert.deepEqual([reply.reason, reply.data.uid], ["", 7]);
    }
  }
}

await vectors(process.argv[2]);
await md5();
if (process.argv[3]) await gate(process.argv[3]);
console.log("ok");
