// The shared worker: owns the one socket of this browser; every tab holds a port to it.
"use strict";
importScripts("live-link.js");

const address = new URL("/live", location.origin.replace(/^http/, "ws")).href;
const topicsOf = new Map(); // port → the topics its tab follows
const recordsOf = new Map(); // port → the records its tab shows
let link = null;

function tellAll(message) {
  const wrapped = wrap(message);
  for (const port of topicsOf.keys()) port.postMessage(wrapped);
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
    else if (data.type === "leave") leave(port);
  };
});
