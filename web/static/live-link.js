// One socket to /live: connects, comes back, keeps the present picture for tabs that open later.
// Loaded by the shared worker (importScripts) and, where there is none, by the page itself; so it is a classic script.
"use strict";
globalThis.LiveLink = class LiveLink {
  static #FIRST_DELAY = 500;
  static #LAST_DELAY = 30_000;
  static #JITTER = 0.3;
  static #SILENCE = 25_000; // then we ask whether anybody is there
  static #ANSWER = 5_000;
  static #USED_AGAIN = 5_000;
  static #CLOCK_LOOKS = 3;
  static #SIGNED_OUT = 4401;
  static #MOST_RECORDS = 300;
  static #SHOWN_AFTERWARDS = { elsewhere: 3_000, caller_left: 10_000, stopped: 0, ended: 60_000 };

  #url;
  #tell;
  #socket = null;
  #delay = LiveLink.#FIRST_DELAY;
  #again = 0;
  #watchdog = 0;
  #hello = null;
  #calls = new Map();
  #topics = new Set();
  #records = new Set(); // what open pages show, as "party:12"
  #bell = null; // as the page told it, and when the server was told last
  #bellTold = 0;
  #askedAt = 0; // when the ping was sent that has no answer yet
  #nextLook = 0;
  #looks = 0; // how often the server's clock was looked at since the hello
  #bestTrip = Infinity;
  bellIsHere = false;
  status = "connecting"; // connecting, open, signed_out
  offset = 0; // milliseconds this clock is ahead of the server's

  // tell(message): every message, and {type: "status"} when the link itself changes
  constructor(url, tell) {
    this.#url = url;
    this.#tell = tell;
    this.connect();
    addEventListener("online", () => this.#isDown() && this.connect());
  }

  get user() {
    return this.#hello?.user ?? null;
  }

  connect() {
    clearTimeout(this.#again);
    this.#forgetSocket();
    this.#setStatus("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => this.#lost(event.code);
    this.#watch(LiveLink.#SILENCE);
  }

  close() {
    clearTimeout(this.#again);
    this.#forgetSocket();
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  // {sound, chosen, used}. That somebody works here is told every few seconds only, except where it brings the bell here.
  tellBell(bell) {
    const before = this.#bell;
    this.#bell = bell;
    const isOther = !before || before.sound !== bell.sound || before.chosen !== bell.chosen;
    const isDue = bell.sound && bell.used > (before?.used ?? 0) && (!this.bellIsHere || bell.used - this.#bellTold > LiveLink.#USED_AGAIN);
    if (isOther || isDue) this.#sendBell();
  }

  #sendBell() {
    if (!this.#bell || this.status !== "open") return;
    const { sound, chosen, used } = this.#bell;
    this.#bellTold = used;
    this.send({ type: "bell", sound, chosen, ms: Math.max(0, Date.now() - used) });
  }

  follow(topics) {
    const gone = [...this.#topics].filter((topic) => !topics.has(topic));
    const isNew = [...topics].some((topic) => !this.#topics.has(topic));
    this.#topics = topics;
    if (gone.length) this.send({ type: "unsub", topics: gone });
    if (isNew) this.#subscribe();
  }

  followRecords(records) {
    const isSame = records.size === this.#records.size && [...records].every((record) => this.#records.has(record));
    this.#records = records;
    if (!isSame) this.#sendRecords();
  }

  // The picture as it is now, in the shape of a hello: for a tab that has just opened.
  picture() {
    if (!this.#hello) return null;
    const now = Date.now() - this.offset;
    const calls = [...this.#calls.values()].filter((call) => this.#isShown(call, now));
    return { v: 1, type: "hello", data: { ...this.#hello, calls } };
  }

  #isShown(call, now) {
    const shown = LiveLink.#SHOWN_AFTERWARDS[call.state];
    if (shown === undefined || now < Date.parse(call.wrap_up_until)) return true;
    return Boolean(call.ended_at) && now - Date.parse(call.ended_at) < shown;
  }

  #hear(message) {
    this.#watch(LiveLink.#SILENCE);
    if (message.type === "pong") return this.#compareClocks(message);
    if (message.type === "hello") this.#greet(message);
    else if (message.type === "bell") this.bellIsHere = message.data.here;
    else this.#keep(message);
    this.#tell(message);
  }

  #greet(message) {
    this.#delay = LiveLink.#FIRST_DELAY;
    this.offset = Date.now() - Date.parse(message.at);
    this.#looks = 0;
    this.#bestTrip = Infinity;
    this.#hello = message.data;
    this.#calls = new Map(message.data.calls.map((call) => [call.id, call]));
    this.#setStatus("open");
    this.#sendBell();
    this.#subscribe();
    if (this.#records.size) this.#sendRecords();
    this.#ping();
  }

  #ping() {
    this.#askedAt = Date.now();
    this.send({ type: "ping" });
  }

  // The hello may have waited long on its way. Of a few questions the quickest answer says best what time it is there.
  #compareClocks({ at }) {
    const now = Date.now();
    const trip = now - this.#askedAt;
    if (at && this.#askedAt && trip >= 0 && trip <= this.#bestTrip) {
      this.#bestTrip = trip;
      this.offset = (now + this.#askedAt) / 2 - Date.parse(at);
    }
    this.#askedAt = 0;
    if (++this.#looks < LiveLink.#CLOCK_LOOKS) this.#nextLook = setTimeout(() => this.#ping(), 1000);
  }

  #keep({ type, topic, data }) {
    if (topic) return;
    if (type === "call.dismissed") this.#calls.delete(data.id);
    else if (type === "note.saved") this.#keepNote(data);
    else if (type === "connection.state") this.#keepConnection(data);
    else if (type === "agent.state") this.#keepAgent(data);
    else if (type === "database.state") this.#hello = { ...this.#hello, database: data };
    else if (type.startsWith("call.")) {
      if (data.was) this.#calls.delete(data.was);
      this.#calls.set(data.id, data);
    }
    if (this.#calls.size > 50) this.#calls.delete(this.#calls.keys().next().value);
  }

  #keepNote({ id, note }) {
    const call = this.#calls.get(id);
    if (call) this.#calls.set(id, { ...call, note });
  }

  #keepConnection(connection) {
    const presence = this.#hello?.presence;
    if (!presence) return;
    const others = presence.connections.filter(({ id }) => id !== connection.id);
    this.#hello = { ...this.#hello, presence: { ...presence, connections: [...others, connection] } };
  }

  #keepAgent(agent) {
    const presence = this.#hello?.presence;
    if (presence) this.#hello = { ...this.#hello, presence: { ...presence, agent } };
  }

  #subscribe() {
    if (this.#topics.size) this.send({ type: "sub", topics: [...this.#topics] });
  }

  // The server takes 300 of them; the pages opened last are named first.
  #sendRecords() {
    const named = [...this.#records].reverse().slice(0, LiveLink.#MOST_RECORDS);
    const ids = (kind) => named.filter((record) => record.startsWith(`${kind}:`)).map((record) => Number(record.slice(kind.length + 1)));
    this.send({ type: "follow", parties: ids("party"), leads: ids("lead") });
  }

  #watch(after) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#doubt(), after);
  }

  // A network that went away without a word: the socket itself would not notice for many minutes.
  #doubt() {
    this.#ping();
    this.#watchdog = setTimeout(() => this.#lost(), LiveLink.#ANSWER);
  }

  #lost(code) {
    this.#forgetSocket();
    this.bellIsHere = false;
    if (code === LiveLink.#SIGNED_OUT) {
      this.#hello = null;
      this.#calls.clear();
      this.#setStatus("signed_out");
      return;
    }
    this.#setStatus("connecting");
    const jitter = 1 + LiveLink.#JITTER * (2 * Math.random() - 1);
    this.#again = setTimeout(() => this.connect(), this.#delay * jitter);
    this.#delay = Math.min(this.#delay * 2, LiveLink.#LAST_DELAY);
  }

  #forgetSocket() {
    clearTimeout(this.#watchdog);
    clearTimeout(this.#nextLook);
    this.#askedAt = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #isDown() {
    return this.status === "connecting" && this.#socket?.readyState !== WebSocket.OPEN;
  }

  #setStatus(status) {
    if (this.status === status) return;
    this.status = status;
    this.#tell({ type: "status" });
  }
};
