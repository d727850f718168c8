// @ts-check
/**
 * The buyer's checkout page: formats what is typed, sends the form without leaving the page, and tells of errors
 * where they are. Without this module the form is posted as any form is; nothing here decides anything.
 *
 * Other modules of the page listen on `document`:
 *   `checkout:state`  detail is the server's answer, whenever there is one
 *   `checkout:leave`  before the page goes to `detail.location`; preventing it keeps the page where it is
 *   `checkout:ask`    dispatched by them: ask the server for the session's state
 */

/**
 * @typedef {{id: string, name: string, ranges: string[], lengths: number[], gaps: number[], cvc_lengths: number[]}} Brand
 * @typedef {{state: string, location: string | null, problems: Record<string, string>, message: string | null}} Reply
 */

const POLL_MS = 1500;
const FINAL = new Set(["completed", "cancelled"]);
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("form"));
const page = document.getElementById("checkout");
let busy = false;

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement | null} */ (document.getElementById(id));

/** @param {string} text */
const digitsOf = (text) => text.replace(/\D/g, "");

// --- brands -----------------------------------------------------------------------------------------

/** @type {Brand[]} */
const brands = form ? JSON.parse(form.dataset.brands || "[]") : [];

/**
 * Tell whether digits lie in a range, as far as both go; how specific the range is, or 0.
 * @param {string} digits
 * @param {string} range a prefix, or two of equal length with a dash between
 */
function fit(digits, range) {
  const [first, last = first] = range.split("-");
  const length = Math.min(first.length, digits.length);
  const head = digits.slice(0, length);
  const fits = length > 0 && head >= first.slice(0, length) && head <= last.slice(0, length);
  return fits && digits.length >= first.length ? first.length : 0;
}

/**
 * Name the brand of the digits typed so far: the narrowest range decides.
 * @param {string} digits
 * @returns {Brand | null}
 */
function brandOf(digits) {
  let found = null;
  let narrowest = 0;
  for (const brand of brands) {
    const width = Math.max(...brand.ranges.map((range) => fit(digits, range)));
    if (width > narrowest) [found, narrowest] = [brand, width];
  }
  return found;
}

// --- formatting that keeps the caret ----------------------------------------------------------------

/**
 * Rewrite a field and put the caret behind the same digit as before.
 * @param {HTMLInputElement} field
 * @param {(digits: string) => string} format
 * @param {InputEvent} event
 */
function reformat(field, format, event) {
  if (event.isComposing) return;
  const caret = field.selectionStart ?? field.value.length;
  let before = digitsOf(field.value.slice(0, caret)).length;
  let digits = digitsOf(field.value);
  const deletedBlank = event.inputType === "deleteContentBackward" && field.dataset.digits === digits && before > 0;
  if (deletedBlank) {
    // Only a separator was deleted: take the digit before it, or the key would seem dead.
    digits = digits.slice(0, before - 1) + digits.slice(before);
    before -= 1;
  }
  const text = format(digits);
  field.dataset.digits = digitsOf(text);
  if (text === field.value) return;
  field.value = text;
  let position = 0;
  for (let seen = 0; seen < before && position < text.length; position += 1) {
    if (/\d/.test(text[position])) seen += 1;
  }
  if (before > 0 && before === digits.length) position = text.length;
  field.setSelectionRange(position, position);
}

/** @param {string} digits */
function grouped(digits) {
  const brand = brandOf(digits);
  const longest = brand ? Math.max(...brand.lengths) : 19;
  const gaps = brand ? brand.gaps : [4, 8, 12, 16];
  return [...digits.slice(0, longest)].map((digit, index) => (gaps.includes(index) ? ` ${digit}` : digit)).join("");
}

/** @param {string} digits */
function dated(digits) {
  let text = digits.slice(0, 6);
  if (/^[2-9]/.test(text)) text = `0${text}`;
  if (text.length > 4 && text.slice(2, 4) !== "20") text = text.slice(0, 4);
  return text.length > 2 ? `${text.slice(0, 2)} / ${text.slice(2)}` : text;
}

const number = input("number");
const expiry = input("expiry");
const cvc = input("cvc");

number?.addEventListener("input", (event) => {
  reformat(number, grouped, /** @type {InputEvent} */ (event));
  showBrand();
});
expiry?.addEventListener("input", (event) => reformat(expiry, dated, /** @type {InputEvent} */ (event)));
cvc?.addEventListener("input", (event) => {
  reformat(cvc, (digits) => digits.slice(0, 4), /** @type {InputEvent} */ (event));
});

function showBrand() {
  if (!number) return;
  const brand = brandOf(digitsOf(number.value));
  const shown = document.getElementById("brand");
  if (shown) shown.textContent = brand ? brand.name : "";
  const hint = document.getElementById("cvc-hint");
  if (hint) hint.textContent = (brand?.cvc_lengths[0] === 4 ? hint.dataset.four : hint.dataset.three) ?? "";
}

for (const field of [number, expiry, cvc, input("name")]) {
  // What is being mended is not called wrong any more.
  field?.addEventListener("input", () => showProblem(field.id, ""));
}

// --- sending ----------------------------------------------------------------------------------------

/**
 * @param {string} name
 * @param {string} text
 */
function showProblem(name, text) {
  const field = input(name);
  const place = document.getElementById(`${name}-error`);
  if (place) place.textContent = text;
  if (text) field?.setAttribute("aria-invalid", "true");
  else field?.removeAttribute("aria-invalid");
}

/** @param {boolean} now */
function setBusy(now) {
  busy = now;
  form?.classList.toggle("busy", now);
  form?.setAttribute("aria-busy", String(now));
  document.getElementById("pay")?.setAttribute("aria-disabled", String(now));
  const working = form?.dataset.processing ?? "";
  const label = document.getElementById("pay-label");
  if (label) {
    label.dataset.rest ??= label.textContent ?? "";
    label.textContent = now ? working : label.dataset.rest;
  }
  const status = document.getElementById("status");
  if (status) status.textContent = now ? working : "";
}

/** @param {string} text */
function showMessage(text) {
  const place = document.getElementById("message");
  if (place) place.textContent = text;
  if (text) place?.focus();
}

/** @param {string} location */
function leave(location) {
  const asked = new CustomEvent("checkout:leave", { cancelable: true, detail: { location } });
  if (document.dispatchEvent(asked)) window.location.assign(location);
}

/** @param {Reply} reply */
function show(reply) {
  document.dispatchEvent(new CustomEvent("checkout:state", { detail: reply }));
  if (FINAL.has(reply.state) && reply.location) return leave(reply.location);
  if (reply.state === "paying") return void setTimeout(ask, POLL_MS);
  if (!form || !["open", "problem"].includes(reply.state)) return window.location.reload();
  setBusy(false);
  for (const name of ["number", "expiry", "cvc", "name"]) showProblem(name, reply.problems[name] ?? "");
  showMessage(reply.message ?? "");
  const first = Object.keys(reply.problems)[0];
  if (first) input(first)?.focus();
  else if (cvc && reply.message) cvc.value = "";
}

/** @param {RequestInit} [how] */
async function request(how = {}) {
  const headers = { accept: "application/json", ...how.headers };
  const response = await fetch(window.location.href, { ...how, headers, redirect: "error", cache: "no-store" });
  return /** @type {Reply} */ (await response.json());
}

/** Ask what became of the session; as long as nobody answers, ask again. */
async function ask() {
  try {
    show(await request());
  } catch {
    setTimeout(ask, POLL_MS);
  }
}

/**
 * Send the form. When the answer is lost nobody knows whether it arrived, so the session is asked for.
 * @param {string} what `pay` or `cancel`
 */
async function send(what) {
  if (!form || busy) return;
  setBusy(true);
  showMessage("");
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) body.append(name, String(value));
  body.append("do", what);
  try {
    show(await request({ method: "POST", body }));
  } catch {
    setTimeout(ask, POLL_MS);
  }
}

if (form) {
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    void send(button?.value === "cancel" ? "cancel" : "pay");
  });
  showBrand();
} else if (page && ["paying", "locked"].includes(page.dataset.state ?? "")) {
  setTimeout(watch, POLL_MS);
}

/** Wait on a page without a form until its session moves on. */
async function watch() {
  try {
    const reply = await request();
    if (reply.state !== page?.dataset.state) return show(reply);
  } catch {
    // The next turn asks again.
  }
  setTimeout(watch, POLL_MS);
}

document.addEventListener("checkout:ask", () => void ask());
