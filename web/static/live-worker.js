// The shared worker: owns the one socket of this browser; every tab holds a port to it.
"use strict";
importScripts("live-link.js");

const address = new URL("/live", location.origin.replace(/^http/, "ws")).href;
const topicsOf = new Map(); // port → the topics its tab follows
const recordsOf = new Map(); // port → the records its tab shows
const bells = new Map(); // port → what its tab's bell is like: {sound, chosen, used}
let link = null;
let ringer = null; // the port that was told to ring

function tellAll(message) {
  if (message.type === "bell") return placeBell();
  if (message.type === "status") placeBell();
  const wrapped = wrap(message);
  for (const port of topicsOf.keys()) port.postMessage(wrapped);
}

// Of the tabs of this browser, the one used last stands for it.
function lastUsed() {
  return [...bells].filter(([, bell]) => bell.sound).sort(([, one], [, other]) => other.used - one.used)[0]?.[0] ?? null;
}

function hearBell(port, bell) {
  bells.set(port, bell);
  shareBell();
}

function shareBell() {
  link?.tellBell(bells.get(lastUsed()) ?? { sound: false, chosen: false, used: 0 });
  placeBell();
}

function placeBell() {
  const next = link?.bellIsHere ? lastUsed() : null;
  if (next === ringer) return;
  ringer?.postMessage(wrap({ type: "bell", data: { here: false } }));
  ringer = next;
  ringer?.postMessage(wrap({ type: "bell", data: { here: true } }));
}

function wrap(message) {
  return { message, status: link?.status ?? "connecting", offset: link?.offset ?? 0 };
}

// A new tab: starts the link, or gets the present picture at once. Somebody else signed in: a new link.
function attach(port, user) {
  topicsOf.set(port, topicsOf.get(port) ?? new Set());
  if (!link) link = new LiveLink(address, tellAll);
  else if (link.status === "signed_out" || (link.user !== null && link.user !== user)) link.connect();
  const picture = link.user === user ? link.picture() : null;
  port.postMessage(wrap(picture ?? { type: "status" }));
}

function follow(port, topics) {
  topicsOf.set(port, new Set(topics));
  link?.follow(new Set([...topicsOf.values()].flatMap((set) => [...set])));
}

function followRecords(port, records) {
  recordsOf.delete(port); // the latest stands last
  recordsOf.set(port, records);
  link?.followRecords(new Set([...recordsOf.values()].flat()));
}

function leave(port) {
  topicsOf.delete(port);
  recordsOf.delete(port);
  bells.delete(port);
  if (ringer === port) ringer = null;
  shareBell();
  if (topicsOf.size === 0) {
    link?.close();
    link = null;
  } else {
    follow(topicsOf.keys().next().value, [...topicsOf.values().next().value]);
  }
}

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data.type === "attach") attach(port, data.user);
    else if (data.type === "follow") follow(port, data.topics);
    else if (data.type === "records") followRecords(port, data.records);
    else if (data.type === "send") link?.send(data.message);
    else if (data.type === "bell") hearBell(port, data.bell);
    else if (data.type === "leave") leave(port);
  };
});
