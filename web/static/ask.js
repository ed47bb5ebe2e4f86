// One question to the server. Never throws: an answer whose body was cut off is none.

// Answers {ok, status, text, json()}, or null when nobody answered; json() is null for what is no JSON. Whoever is signed
// out is redirected to the sign-in, which is not followed here (status 0): the socket tells the page to go there.
export async function ask(path, options = {}) {
  try {
    const answer = await fetch(path, { redirect: "manual", ...options });
    const text = await answer.text();
    return { ok: answer.ok, status: answer.status, text, json: () => read(text) };
  } catch {
    return null;
  }
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page, or nothing
  }
}
