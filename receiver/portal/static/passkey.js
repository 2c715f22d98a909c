// Passkeys: asks the browser for a key of this site, to add one or to sign in. Shown only where the browser has them.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (held) => btoa(String.fromCharCode(...new Uint8Array(held)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function post(address, token, body) {
  const answer = await fetch(address, { method: "POST", headers: { "X-Form-Token": token }, body });
  const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(told.error || `The server answered ${answer.status}.`);
  return told;
}

function written(made) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (made.response[name]) response[name] = text(made.response[name]);
  }
  return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
}

async function add(button) {
  const options = await post("/account/passkey-offer", button.dataset.ask, "");
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const one of options.excludeCredentials ?? []) one.id = bytes(one.id);
  const made = await navigator.credentials.create({ publicKey: options });
  const name = document.getElementById("passkey-name").value;
  return post("/account/passkey-add", button.dataset.answer, JSON.stringify({ answer: written(made), name }));
}

async function signIn(button) {
  const options = await post("/sign-in/passkey-ask", button.dataset.ask, "");
  options.challenge = bytes(options.challenge);
  const made = await navigator.credentials.get({ publicKey: options });
  return post("/sign-in/passkey", button.dataset.answer, written(made));
}

function offer(button, act) {
  const part = button.closest("[data-passkeys]");
  const wrong = part.querySelector("[data-passkey-wrong]");
  part.hidden = false;
  button.addEventListener("click", async () => {
    wrong.hidden = true;
    button.disabled = true;
    try {
      location.assign((await act(button)).next);
    } catch (error) {
      wrong.textContent = error.name === "NotAllowedError" ? "The browser gave no passkey." : error.message;
      wrong.hidden = false;
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential) {
  for (const button of document.querySelectorAll("[data-passkey-add]")) offer(button, add);
  for (const button of document.querySelectorAll("[data-passkey-sign-in]")) offer(button, signIn);
}
