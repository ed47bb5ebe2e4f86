// What a call window says of its call, from the message alone.

import { el } from "./dom.js";
import { t } from "./messages.js";

export const TALK = new Set(["talking", "held"]);

export function stateWords(call) {
  switch (call.state) {
    case "ringing":
      return ["phone-incoming", call.direction === "internal" ? t("Internal call") : t("Incoming call")];
    case "lift":
      return ["phone-call", t("Pick up your telephone")];
    case "dialling":
      return ["phone-outgoing", t("Dialling")];
    case "held":
      return ["phone-pause", t("On hold")];
    case "talking":
      return ["phone-call", { inbound: t("Incoming"), outbound: t("Outgoing"), internal: t("Internal") }[call.direction]];
    case "elsewhere":
      return ["phone-check", endWords(call)];
    case "caller_left":
      return ["phone-x", t("Did not wait")];
    default:
      return ["phone-off", t("Call ended")];
  }
}

export function endWords(call) {
  if (call.state === "elsewhere") return t("Taken by {name}", { name: call.answered_by ?? t("a colleague") });
  if (call.state === "caller_left") return t("Did not wait");
  return { busy: t("Busy"), no_answer: t("No answer"), failed: t("The call failed"), cancelled: t("Cancelled") }[call.reason] ?? t("Call ended");
}

export function handOverWords(transfer) {
  const how = { attended: t("after talking to you"), blonde: t("without waiting for your answer"), park: t("left in parking") };
  const by = t("Passed on by: {name}", { name: transfer.by ?? t("a colleague") });
  return [by, how[transfer.kind]].filter(Boolean).join(" · ");
}

// What stands under the state; an outgoing call often has no line of ours, and needs none.
export function lineName(call) {
  if (call.line) return call.line;
  if (call.direction === "internal") return call.colleague_extension ? t("ext. {digits}", { digits: call.colleague_extension }) : "";
  return call.direction === "inbound" ? t("No line") : "";
}

export function callerName(call) {
  if (call.direction === "internal") return call.colleague ?? t("Colleague");
  const parties = call.match?.parties ?? [];
  if (call.match?.outcome === "matched" && parties[0]) return [parties[0].name, parties[0].contact_name].filter(Boolean).join(", ");
  if (call.number_kind === "hidden") return t("Number withheld");
  return call.phone_text || t("Unknown number");
}

export function whoLines(call) {
  const parties = call.match?.parties ?? [];
  if (call.match?.outcome === "matched" && parties[0]) {
    const [party] = parties;
    const person = party.contact_name ? el("p", { class: "pop-contact" }, party.contact_name) : null;
    return [el("p", { class: "pop-name" }, cardLink(party)), person, phoneLine(call)].filter(Boolean);
  }
  if (call.match?.outcome === "ambiguous") {
    return [el("p", { class: "pop-name" }, t("Shared number")), phoneLine(call)];
  }
  if (call.direction === "internal") {
    const team = call.colleague_team ? el("p", { class: "pop-soft" }, call.colleague_team) : null;
    return [el("p", { class: "pop-name" }, callerName(call)), team].filter(Boolean);
  }
  return [el("p", { class: "pop-name pop-number" }, callerName(call))];
}

const cardLink = (party) => el("a", { href: `/parties/${party.id}`, "data-card": true }, party.name);
const phoneLine = (call) => el("p", { class: "pop-phone" }, call.phone_text);

export function lineDot(colour) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "line-swatch");
  svg.setAttribute("viewBox", "0 0 8 8");
  svg.setAttribute("aria-hidden", "true");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: 4, cy: 4, r: 4, fill: colour })) circle.setAttribute(name, value);
  svg.append(circle);
  return svg;
}
