// @ts-check
/**
 * Lets programs written for Dintero's web SDK show the checkout page in a frame or in a window of its own: tells the
 * page around it what happens here, and does what that page asks. A thin layer over `checkout.js`, whose events it
 * listens to; opened by itself the page needs none of this.
 *
 * Every message names its session (`sid`), and only messages of the window around this one are listened to. None
 * of them holds anything of the card.
 */

/**
 * @typedef {{type: string, sid: string, pay_lock_id?: string, [name: string]: unknown}} Message
 * @typedef {{order?: unknown, pay_lock?: {pay_lock_id: string}, configuration?: Record<string, any>, version?: number}} Session
 */

const parameters = new URLSearchParams(window.location.search);
const sid = parameters.get("sid") ?? "";
const role = parameters.get("role") ?? "";
const isFramed = window.parent !== window && parameters.has("ui");
const isPopOut = role === "pop_out_payment" && window.opener !== null;
const isLauncher = role === "pop_out_launcher" && isFramed;
const around = /** @type {Window | null} */ (isPopOut ? window.opener : isFramed ? window.parent : null);
const validates = parameters.get("client_side_validation") === "true" && isFramed;
const page = document.getElementById("checkout");
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("form"));
// A frame of another site may have no storage, so what outlives a reload stands in the address.
const REFRESHED = "#refreshed";
let sent = 0;
/** @type {Session | null} */
let session = null;
let isValidated = !validates;
let isOver = false;

/**
 * @param {string} type
 * @param {Record<string, unknown>} [more]
 */
function tell(type, more = {}) {
  sent += 1;
  // The address around us may be any shop's; nothing that is told is secret from it.
  around?.postMessage({ type, sid, mid: `m${sent}`, ...(isPopOut ? { context: "popOut" } : {}), ...more }, "*");
}

/** @param {string} path */
const address = (path) => new URL(`v1/view/${encodeURIComponent(sid)}/${path}`, window.location.href.split("?")[0]);

/** @returns {Promise<{ok: boolean, body: any}>} */
async function ask(/** @type {string} */ path, /** @type {RequestInit} */ how = {}) {
  const response = await fetch(address(path), { ...how, cache: "no-store" });
  return { ok: response.ok, body: await response.json() };
}

// --- what happened ----------------------------------------------------------------------------------

const FINAL = /** @type {Record<string, string>} */ ({
  completed: "SessionPaymentAuthorized",
  cancelled: "SessionCancel",
  failed: "SessionPaymentError",
});

/**
 * Tell how the session ended; the address to go to says it in its parameters.
 * @param {string} state
 * @param {string} href
 */
function tellEnd(state, href) {
  if (isOver || !(state in FINAL)) return;
  isOver = true;
  const said = new URL(href).searchParams;
  /** @type {Record<string, unknown>} */
  const more = { href };
  for (const name of ["merchant_reference", "transaction_id", "error"]) {
    const values = said.getAll(name);
    // The shop's own address may have had a parameter of this name: ours is the last.
    if (values.length) more[name] = values[values.length - 1];
  }
  tell(FINAL[state], more);
}

/** Load the session as the shop's page is to see it. @param {string} type */
async function load(type) {
  const { ok, body } = await ask("session");
  if (!ok) return void tell("SessionNotFound");
  session = body;
  setLocked(Boolean(body.pay_lock));
  tell(type, { session: body });
}

/** @returns {string | undefined} */
function product() {
  for (const [gateway, block] of Object.entries(session?.configuration ?? {})) {
    if (block && typeof block === "object" && block.creditcard?.enabled === true) return `${gateway}.creditcard`;
  }
  return undefined;
}

/** While the shop changes the order nothing is typed and nothing is paid. @param {boolean} now */
function setLocked(now) {
  if (form) form.inert = now;
}

// --- what is asked of us ----------------------------------------------------------------------------

async function lock() {
  try {
    const { ok, body } = await ask("session/lock", { method: "POST" });
    if (!ok) return void tell("SessionLockFailed");
    setLocked(true);
    tell("SessionLocked", { pay_lock_id: body.pay_lock.pay_lock_id });
  } catch {
    tell("SessionLockFailed");
  }
}

/** Show what the shop changed: a page of another order is drawn anew, and tells of it then. */
async function refresh() {
  const before = JSON.stringify(session?.order);
  const { ok, body } = await ask("session");
  if (!ok) return void tell("SessionNotFound");
  if (JSON.stringify(body.order) !== before) {
    window.location.hash = REFRESHED;
    return window.location.reload();
  }
  session = body;
  setLocked(Boolean(body.pay_lock));
  tell("SessionUpdated", { session: body });
}

/** @param {Message} message */
function validated(message) {
  if (message.success === true) {
    isValidated = true;
    form?.requestSubmit(/** @type {HTMLElement | null} */ (document.getElementById("pay")));
    return;
  }
  const place = document.getElementById("message");
  if (place) {
    place.textContent = String(message.clientValidationError ?? "");
    place.focus();
  }
}

/** @type {Record<string, (message: Message) => void>} */
const REACTIONS = {
  LockSession: () => void lock(),
  RefreshSession: () => void refresh(),
  // There is one product on this page; whatever is asked for, it stays the active one.
  SetActivePaymentProductType: () => tell("ActivePaymentProductType", { payment_product_type: product() }),
  ValidationResult: validated,
  OpenedPopOut: () => offer({ disabled: "true" }),
  ClosedPopOut: () => {
    offer({ disabled: "false" });
    document.dispatchEvent(new CustomEvent("checkout:ask"));
  },
  OpenPopOutFailed: () => offer({ disabled: "false" }),
};

// --- a window of its own ----------------------------------------------------------------------------

/** Ask the shop's page to draw its button over the place of ours. @param {Record<string, string>} more */
function offer(more) {
  const place = document.getElementById("pay")?.getBoundingClientRect();
  if (!isLauncher || !place) return;
  const label = document.getElementById("pay-label")?.textContent ?? "";
  tell("ShowPopOutButton", {
    styles: { height: `${place.height}px`, borderRadius: "8px", border: "none", color: "#fff", backgroundColor: "#1d5b4f" },
    openLabel: label,
    focusLabel: label,
    closeLabel: document.getElementById("cancel")?.textContent ?? "",
    descriptionLabel: document.title,
    top: String(place.top),
    left: String(place.left),
    right: String(window.innerWidth - place.right),
    language: document.documentElement.lang,
    ...more,
  });
}

/** Where the payment is made in another window nothing is typed in this one. */
function prepareLauncher() {
  for (const field of form?.querySelectorAll(".field, .pair, .check, .switch") ?? []) {
    /** @type {HTMLElement} */ (field).hidden = true;
  }
}

// --- beginning --------------------------------------------------------------------------------------

function watchHeight() {
  let told = 0;
  const measure = () => {
    const height = Math.ceil(page?.getBoundingClientRect().height ?? document.body.scrollHeight);
    if (height !== told) tell("HeightChanged", { height });
    told = height;
  };
  new ResizeObserver(measure).observe(page ?? document.body);
  measure();
}

async function begin() {
  window.addEventListener("message", (event) => {
    if (event.source !== around || event.data?.sid !== sid) return;
    if (Object.hasOwn(REACTIONS, event.data.type)) REACTIONS[event.data.type](event.data);
  });
  document.addEventListener("checkout:leave", (event) => {
    const { location, state } = /** @type {CustomEvent} */ (event).detail;
    event.preventDefault();
    tellEnd(state ?? lastState, location);
  });
  if (isPopOut) tell("AppLoaded");
  if (isFramed) watchHeight();
  if (isPopOut && parameters.get("loader") === "true") return void (form && (form.hidden = true));
  const isRefreshed = window.location.hash === REFRESHED;
  if (isRefreshed) window.history.replaceState(null, "", window.location.href.split("#")[0]);
  const state = page?.dataset.state ?? "";
  const back = /** @type {HTMLAnchorElement | null} */ (page?.querySelector(".ending a.button"));
  if (state in FINAL && back) return tellEnd(state, back.href);
  await load(isRefreshed ? "SessionUpdated" : "SessionLoaded");
  if (session) tell("ActivePaymentProductType", { payment_product_type: product() });
  if (isLauncher) {
    prepareLauncher();
    offer({ disabled: "false" });
  }
}

let lastState = "";
document.addEventListener("checkout:state", (event) => {
  lastState = /** @type {CustomEvent} */ (event).detail.state;
});
// Before paying the shop may have its say. In the capturing phase, so that `checkout.js` does not hear of it first.
document.addEventListener(
  "submit",
  (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    if (isValidated || button?.value === "cancel") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    tell("ValidateSession", { session });
  },
  { capture: true },
);
if (around) void begin();
