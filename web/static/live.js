// The page's end of the live channel. `live` tells "message" (detail: the message) and "status".

class Live extends EventTarget {
  #port = null;
  #link = null;
  #topics = new Map(); // topic → how many elements of this page follow it
  #records = new Map(); // element → the records it shows, as "party:12"
  #user = Number(document.body.dataset.user);
  status = "connecting";
  presence = null;
  isDatabaseAway = false;
  offset = 0;
  bellIsHere = false; // of all pages of this user, this one rings
  #bell = null;

  constructor() {
    super();
    this.#open();
    // A page in the back/forward cache holds no port: its worker could not reach it.
    addEventListener("pagehide", () => this.#post({ type: "leave" }));
    addEventListener("pageshow", ({ persisted }) => persisted && this.#attach());
  }

  // The server's time, in milliseconds
  now() {
    return Date.now() - this.offset;
  }

  send(message) {
    if (this.#link) this.#link.send(message);
    else this.#post({ type: "send", message });
  }

  // What this page's bell is like: {sound: may it be heard, chosen: always here, used: when somebody worked here, in ms}
  tellBell(bell) {
    this.#bell = bell;
    if (this.#link) this.#link.tellBell(bell);
    else this.#post({ type: "bell", bell });
  }

  // Tell the present picture again, as a hello: for an element that began to listen later.
  askAgain() {
    const picture = this.#link?.picture();
    if (picture) this.#hear({ message: picture, status: this.#link.status, offset: this.#link.offset });
    else this.#attach();
  }

  follow(topic) {
    this.#topics.set(topic, (this.#topics.get(topic) ?? 0) + 1);
    this.#sendTopics();
  }

  unfollow(topic) {
    const left = (this.#topics.get(topic) ?? 1) - 1;
    if (left) this.#topics.set(topic, left);
    else this.#topics.delete(topic);
    this.#sendTopics();
  }

  followRecords(element, records) {
    this.#records.set(element, records);
    this.#sendRecords();
  }

  unfollowRecords(element) {
    this.#records.delete(element);
    this.#sendRecords();
  }

  #open() {
    if (!globalThis.SharedWorker) {
      this.#openOwn();
      return;
    }
    const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { name: "ringcard" });
    worker.onerror = () => this.#openOwn();
    this.#port = worker.port;
    this.#port.onmessage = ({ data }) => this.#hear(data);
    this.#attach();
  }

  // No shared worker: this tab has a socket of its own, with the same class.
  async #openOwn() {
    this.#port = null;
    await import("./live-link.js");
    const address = new URL("/live", location.origin.replace(/^http/, "ws")).href;
    this.#link = new globalThis.LiveLink(address, (message) => {
      const { status, offset } = this.#link ?? { status: "connecting", offset: 0 };
      this.#hear({ message, status, offset });
    });
    if (this.#bell) this.#link.tellBell(this.#bell);
    this.#sendTopics();
    this.#sendRecords();
  }

  #attach() {
    this.#post({ type: "attach", user: this.#user });
    if (this.#bell) this.#post({ type: "bell", bell: this.#bell });
    this.#sendTopics();
    this.#sendRecords();
  }

  #post(message) {
    this.#port?.postMessage(message);
  }

  #sendTopics() {
    const topics = [...this.#topics.keys()];
    if (this.#link) this.#link.follow(new Set(topics));
    else if (topics.length || this.#port) this.#post({ type: "follow", topics });
  }

  #sendRecords() {
    const records = [...this.#records.values()].flat();
    if (this.#link) this.#link.followRecords(new Set(records));
    else this.#post({ type: "records", records });
  }

  #hear({ message, status, offset }) {
    this.status = status;
    this.offset = offset;
    if (status === "signed_out") {
      location.assign("/sign-in");
      return;
    }
    if (message.type === "hello" && message.data.user !== this.#user) {
      location.reload(); // another user signed in in this browser
      return;
    }
    this.#note(message);
    const kind = message.type === "status" ? "status" : "message";
    this.dispatchEvent(new CustomEvent(kind, { detail: message }));
  }

  #note({ type, topic, data }) {
    if (topic) return;
    if (type === "bell") this.bellIsHere = data.here;
    if (type === "status" && this.status !== "open") this.bellIsHere = false;
    if (type === "hello") this.presence = data.presence;
    if (type === "hello") this.isDatabaseAway = data.database?.is_away ?? false;
    if (type === "database.state") this.isDatabaseAway = data.is_away;
    if (type === "agent.state" && this.presence) this.presence = { ...this.presence, agent: data };
    if (type === "connection.state" && this.presence) {
      const others = this.presence.connections.filter(({ id }) => id !== data.id);
      this.presence = { ...this.presence, connections: [...others, data] };
    }
  }
}

export const live = new Live();
