/**
 * Proves the client of the WebSocket bridge against a gate:
 *
 *     node test-socket.js http://127.0.0.1:8080
 *
 * Node before 22 has no WebSocket unless asked for one.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

import { TicketgateSocket } from "./socket.js";
import { Ticketgate } from "./ticketgate.js";

if (globalThis.WebSocket === undefined) {
  const again = ["--experimental-websocket", "--no-warnings", ...process.argv.slice(1)];
  process.exit(spawnSync(process.execPath, again, { stdio: "inherit" }).status ?? 1);
}

const base = process.argv[2].replace("http:", "ws:");
const gate = new Ticketgate("ios", "s3cret");
const url = () => gate.url(`${base}/ws`, "ws/main/open");

/** A WebSocket class whose newest connection can be broken. */
let newest;
class Breakable extends WebSocket {
  constructor(address) {
    super(address);
    newest = this;
  }
}

async function until(condition) {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await sleep(25);
  }
  assert.fail("it does not come to that");
}

const socket = new TicketgateSocket(url, { WebSocket: Breakable, wait: 50, open: (sealed) => gate.openToken(sealed) });
let ended = 0;
socket.onended = () => ended++;

assert.equal((await socket.call("getuserinfo")).code, 0);
assert.notEqual((await socket.login({ username: "lilei", password: "wrong" })).code, 1);
const login = await socket.login({ username: "lilei", password: "lilei123" });
assert.deepEqual([login.code, login.data.name], [1, "李雷"]);
assert.match(login.token, /^v1\./);

const answers = await Promise.all([socket.call("getuserinfo"), socket.call("look", { q: "a&b", list: [1, 2] })]);
assert.equal(answers[0].data.uid, 7);
assert.deepEqual([answers[1].data.get.q, answers[1].data.get.list], ["a&b", ["1", "2"]]);

// A connection that breaks is made again, and the session goes on there; twice, because each wstoken is used up.
for (let times = 0; times < 2; times++) {
  const before = newest;
  before.close(3000);
  await until(() => newest !== before && newest.readyState === 1);
  assert.equal((await socket.call("getuserinfo")).data.name, "李雷");
}
assert.equal(ended, 0);

// Its end is told once, and the next call says so.
await socket.call("logout");
await until(() => ended === 1);
assert.equal((await socket.call("getuserinfo")).code, 0);
socket.close();
await assert.rejects(socket.call("getuserinfo"), /closed/);
assert.equal(ended, 1);
console.log("ok");
