/**
 * Reference client of Ticketgate's WebSocket bridge: logs in, calls, reconnects, and goes on with its session. One ES module for
 * browsers and Node 22 (or with `--experimental-websocket`, or any WebSocket class of the same shape).
 *
 *     const socket = new TicketgateSocket(async () => gate.url("wss://api.example/ws", "ws/main/open"));
 *     socket.onended = () => showLogin();
 *     const login = await socket.login({ username, password });
 *     const info = await socket.call("getuserinfo", { page: 1 });
 *
 * The URL is asked for at every connection, because its api_token is of that day. An answer is the message as it came
 * (`code`, `msg`, `data`); a call is rejected where nobody can tell what became of it.
 */

/** The session is over: no use to reconnect with it. */
const ENDED = 4401;

export class TicketgateSocket {
  /** Told once when the session is over, or could not go on after a break: log in again. */
  onended = () => {};

  #url;
  #options;
  #socket = null;
  /** Settles once the connection is open, and the session goes on there. */
  #ready = null;
  #pending = new Map();
  #lastId = 0;
  #session = null;
  #breaks = 0;
  #closed = false;

  /**
   * `url`: a text, or a function that gives one. `timeout`: of a call, in milliseconds. `open`: opens sealed tokens
   * (`(sealed) => gate.openToken(sealed)`). `wait`: how long after the first break, doubled up to fifteen seconds.
   */
  constructor(url, { WebSocket = globalThis.WebSocket, timeout = 30_000, wait = 500, open = async (token) => token } = {}) {
    this.#url = typeof url === "function" ? url : () => url;
    this.#options = { WebSocket, timeout, wait, open };
  }

  /** Logs in; from now on calls carry this session. */
  async login(fields) {
    const answer = await this.#send("login", fields);
    if (answer.wstoken !== undefined) {
      this.#session = { token: await this.#options.open(answer.token), wstoken: answer.wstoken };
    }
    return answer;
  }

  /** Sends a message and gives its answer. */
  call(type, fields = {}) {
    return this.#send(type, fields, () => (this.#session ? { token: this.#session.token } : {}));
  }

  /** Closes for good. The session stays until it expires: log out first to end it. */
  close() {
    this.#closed = true;
    this.#socket?.close(1000);
  }

  async #send(type, fields, own = () => ({})) {
    await this.#connected();
    return this.#ask({ ...fields, ...own(), type });
  }

  #ask(message) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, "reject", new Error("no answer in time")), this.#options.timeout);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  #settle(id, how, value) {
    const call = this.#pending.get(id);
    if (!call) return;
    this.#pending.delete(id);
    clearTimeout(call.timer);
    call[how](value);
  }

  #connected() {
    if (this.#closed) return Promise.reject(new Error("closed"));
    this.#ready ??= this.#connect().catch((error) => {
      this.#ready = null;
      throw error;
    });
    return this.#ready;
  }

  async #connect() {
    const socket = new this.#options.WebSocket(await this.#url());
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = socket.onclose = () => reject(new Error("no connection"));
    });
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onerror = () => {};
    socket.onclose = ({ code }) => this.#broke(code);
    if (this.#session) await this.#resume();
    this.#breaks = 0;
  }

  async #resume() {
    const answer = await this.#ask({ type: "resume", ...this.#session });
    if (answer.code === 1) this.#session.wstoken = answer.wstoken;
    else this.#end();
  }

  #hear(data) {
    const answer = JSON.parse(data);
    this.#settle(answer.id, "resolve", answer);
  }

  #broke(code) {
    this.#socket = this.#ready = null;
    for (const id of [...this.#pending.keys()]) this.#settle(id, "reject", new Error("the connection was lost"));
    if (code === ENDED) this.#end();
    else if (this.#session && !this.#closed) this.#reconnect();
  }

  /** With a session the connection comes back by itself, so that the session does not run out of its time. */
  #reconnect() {
    const wait = Math.min(this.#options.wait * 2 ** this.#breaks++, 15_000) * (0.5 + Math.random() / 2);
    setTimeout(() => {
      if (!this.#closed && this.#session) this.#connected().catch(() => this.#reconnect());
    }, wait);
  }

  #end() {
    if (!this.#session) return;
    this.#session = null;
    this.onended();
  }
}
