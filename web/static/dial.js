// Placing calls. One id for each click: a request that is sent again after a broken connection asks only what became of it.

import { ask } from "./ask.js";
import { live } from "./live.js";
import { t } from "./messages.js";

const RETRY_AFTER = [500, 2000];
const IN_WORDS_WITHIN = 5000;

// A UUID also where the page came over plain http, as in many an office.
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// Answers {state, reason, number}, or {refused: sentence, code}. `tell` hears every word about it, also later ones.
export async function dial(order, tell) {
  const id = newId();
  const hear = ({ detail: { type, data } }) => {
    if (type === "dial.outcome" && data.request_id === id) tell(outcomeWords(data), data.state);
  };
  live.addEventListener("message", hear);
  setTimeout(() => live.removeEventListener("message", hear), 120_000);
  tell(t("Calling your telephone…"), "new");
  const slow = setTimeout(() => tell(t("Still no answer from the server. It is not known whether the call is placed; do not press again."), "unknown"), IN_WORDS_WITHIN);
  try {
    return await placed({ ...order, id }, tell);
  } finally {
    clearTimeout(slow);
  }
}

async function placed(order, tell) {
  for (const pause of [...RETRY_AFTER, null]) {
    const answer = await post("/api/v1/dials", order);
    if (answer) {
      const told = answer.json() ?? {};
      if (answer.ok) {
        tell(outcomeWords(told), told.state);
        return told;
      }
      if (answer.status < 500 || pause === null) {
        const refused = told.detail ?? t("The server could not do this. Try again, or tell your administrator.");
        tell(refused, "refused");
        return { refused, code: told.code ?? "" };
      }
    }
    if (pause !== null) await new Promise((go) => setTimeout(go, pause));
  }
  const refused = t("The server does not answer. It is not known whether the call was placed; look at your telephone.");
  tell(refused, "unknown");
  return { refused, code: "" };
}

export function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export function outcomeWords({ state, reason }) {
  if (state === "failed") {
    return (
      {
        no_answer: t("Your telephone was not picked up; nobody was called."),
        busy: t("Your telephone is busy or refused the call; nobody was called."),
        declined: t("Your telephone is busy or refused the call; nobody was called."),
      }[reason] ?? t("Your telephone cannot be reached; nobody was called.")
    );
  }
  return (
    {
      ringing: t("Pick up your telephone"),
      answered: t("Dialling the number"),
      refused: t("The PBX refused: {why}", { why: reason ?? "" }),
      not_sent: t("Not called: there is no connection to the PBX. Try again in a moment."),
      unknown: t("It is not known whether the call was placed: look at your telephone. It is not repeated by itself."),
    }[state] ?? t("Calling your telephone…")
  );
}
