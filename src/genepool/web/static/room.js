// @ts-check
/**
 * The review room: Decide and Compare. One key is decide, save, next.
 *
 * The next image is decoded before it is needed, so a key press only swaps it in; the verdict travels
 * meanwhile and is sent again, under the same nonce, until the server says that it is on the disk.
 */

/** @typedef {{token: string, image: HTMLImageElement, ready: Promise<boolean>, answer: string, shown: number, evidence: boolean}} Item */
/** @typedef {{token: string, images: HTMLImageElement[], ready: Promise<boolean>, shown: number}} Couple */

const AHEAD = 8;
const FAST = 300;
const BREAK = 20 * 60_000;
const page = document.body.dataset.page;
const csrf = document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function need(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${id}`);
  return found;
}

/** @param {string} text */
function say(text) { need("live", HTMLElement).textContent = text; }

/** @param {string} text @param {number} [ms] */
function hint(text, ms = 6000) {
  const box = need("hint", HTMLElement);
  box.textContent = text;
  box.hidden = !text;
  if (text && ms) setTimeout(() => { if (box.textContent === text) box.hidden = true; }, ms);
}

/** @param {string} text @param {boolean} [home] */
function note(text, home = false) {
  const box = need("note", HTMLElement);
  box.textContent = text;
  if (home) {
    const link = document.createElement("a");
    link.href = "/";
    link.textContent = "Back to the queue";
    box.append(document.createElement("br"), link);
  }
  box.hidden = !text;
}

/* ------------------------------------------------------------------------------------- talking */

/** @param {string} path @param {object} body @returns {Promise<any>} */
async function ask(path, body) {
  const response = await fetch(path, {
    method: "POST", keepalive: true, headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(body),
  });
  if (response.ok) return response.json();
  const text = await response.text();
  let message = text;
  try { message = JSON.parse(text).error ?? text; } catch { /* plain text it is */ }
  throw Object.assign(new Error(message), { status: response.status });
}

let unsaved = 0;
/** @type {Map<string, Promise<unknown>>} */
const chains = new Map();

/** Send until it is acknowledged; what concerns one question stays in order. @param {string} path @param {any} body */
function send(path, body) {
  body.nonce = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
  unsaved += 1;
  counted();
  const before = chains.get(body.token) ?? Promise.resolve();
  const mine = before.then(() => deliver(path, body));
  chains.set(body.token, mine);
  return mine;
}

/** @param {string} path @param {any} body */
async function deliver(path, body) {
  for (let wait = 250; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const found = await ask(path, body);
      unsaved -= 1;
      counted();
      return found;
    } catch (error) {
      const status = /** @type {any} */ (error).status;
      if (status && status !== 429 && status !== 503) {
        unsaved -= 1;
        counted();
        hint(`Not saved: ${/** @type {Error} */ (error).message}`, 0);
        return null;
      }
      hint("Not saved yet: trying again.", 2000);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

let decided = 0;
function counted() {
  need("count", HTMLElement).textContent = `${decided} this sitting`;
  const box = need("unsaved", HTMLElement);
  box.textContent = ` · ${unsaved} on the way`;
  box.hidden = unsaved < 4;
  document.body.dataset.unsaved = String(unsaved);
}

addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

/** @param {string} url */
function picture(url) {
  const image = new Image();
  image.alt = "The image to judge";
  image.draggable = false;
  image.src = url;
  return { image, ready: image.decode().then(() => true, () => false) };
}

/* ------------------------------------------------------------------------------------- looking */

const view = { scale: 1, x: 0, y: 0, flip: false };

/** @returns {HTMLElement[]} */
function surfaces() { return [...document.querySelectorAll(".frame > img, .frame > canvas")].map((e) => /** @type {HTMLElement} */ (e)); }

function place() {
  for (const surface of surfaces()) {
    surface.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.flip ? -view.scale : view.scale}, ${view.scale})`;
  }
  need("stage", HTMLElement).classList.toggle("loupe", view.scale > 1);
  pressed("loupe", view.scale > 1);
  pressed("flip", view.flip);
  const pans = document.getElementById("pans");
  if (pans) pans.hidden = view.scale <= 1;
}

/** @param {string} name @param {boolean} on */
function pressed(name, on) { document.querySelector(`[data-do="${name}"][aria-pressed]`)?.setAttribute("aria-pressed", String(on)); }

const pointer = { x: NaN, y: NaN };

/** Toggle the loupe: so many screen pixels per picture pixel. @param {number} times */
function loupe(times) {
  const frame = /** @type {HTMLElement} */ (document.querySelector(".frame"));
  const image = frame?.querySelector("img");
  if (!frame || !image) return;
  const fit = Math.min(frame.clientWidth / image.naturalWidth, frame.clientHeight / image.naturalHeight);
  const scale = Math.max(times / (fit * devicePixelRatio), 1.25 * times);
  if (view.scale > 1 && Math.abs(view.scale - scale) < 1e-6) return unzoom();
  const box = frame.getBoundingClientRect();
  const inside = pointer.x >= box.left && pointer.x <= box.right && pointer.y >= box.top && pointer.y <= box.bottom;
  const dx = inside ? pointer.x - (box.left + box.width / 2) : 0;
  const dy = inside ? pointer.y - (box.top + box.height / 2) : 0;
  Object.assign(view, { scale, x: -dx * (scale - 1), y: -dy * (scale - 1) });
  place();
}

function unzoom() { Object.assign(view, { scale: 1, x: 0, y: 0 }); place(); }

/** @param {number} dx @param {number} dy */
function pan(dx, dy) { if (view.scale > 1) { view.x += dx; view.y += dy; place(); } }

/** Spread brightness evenly over its range (histogram equalisation of the luma). @param {HTMLImageElement} image */
function equalised(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) return canvas;
  pen.drawImage(image, 0, 0);
  const data = pen.getImageData(0, 0, canvas.width, canvas.height);
  const px = data.data;
  const counts = new Float64Array(256);
  for (let i = 0; i < px.length; i += 4) counts[(px[i] * 77 + px[i + 1] * 150 + px[i + 2] * 29) >> 8] += 1;
  let sum = 0;
  const map = counts.map((n) => (sum += n) / (px.length / 4) * 255);
  for (let i = 0; i < px.length; i += 4) {
    const luma = (px[i] * 77 + px[i + 1] * 150 + px[i + 2] * 29) >> 8;
    const shift = map[luma] - luma;
    px[i] += shift; px[i + 1] += shift; px[i + 2] += shift;
  }
  pen.putImageData(data, 0, 0);
  return canvas;
}

/* -------------------------------------------------------------------------------------- decide */

function decide() {
  /** @type {Item[]} */ const items = [];
  /** @type {Item[]} */ const past = [];
  const known = new Set();
  const frame = need("frame", HTMLElement);
  const session = { sequence: 0, uncanny: false, comment: "", fast: 0, since: performance.now(), over: false };
  /** @type {Promise<void> | null} */ let filling = null;

  function fill() {
    if (filling || session.over || items.length >= AHEAD) return;
    filling = ask("/api/next", { n: Math.min(32, AHEAD + 4 + unsaved) }).then((found) => {
      const fresh = found.items.filter((/** @type {{token: string}} */ i) => !known.has(i.token));
      for (const { token } of fresh) {
        known.add(token);
        items.push({ token, ...picture(`/image/${token}`), answer: "", shown: 0, evidence: false });
      }
      session.over = !fresh.length && !unsaved;
    }).catch((error) => { hint(error.message); }).finally(() => {
      filling = null;
      if (frame.dataset.token !== items[0]?.token) show();
      // Answers that were still on the way may have kept the server from giving more.
      if (!session.over && items.length < 4) setTimeout(fill, 150);
      if (!items.length && session.over) show();
    });
  }

  async function show() {
    const item = items[0];
    Object.assign(view, { scale: 1, x: 0, y: 0, flip: false });
    session.uncanny = false;
    session.comment = "";
    pressed("uncanny", false);
    pressed("equalise", false);
    for (const b of document.querySelectorAll("[data-answer]")) {
      b.classList.toggle("was", !!item?.answer && b.getAttribute("data-answer") === item.answer);
    }
    if (!item) {
      frame.replaceChildren();
      delete frame.dataset.token;
      if (session.over) note("Nothing is left to ask you. Thank you.", true);
      else if (filling) note("The next images are on their way.");
      return;
    }
    note("");
    frame.dataset.token = item.token;
    frame.replaceChildren(item.image);
    place();
    const good = await item.ready;
    if (items[0] !== item) return;
    if (!good) note("This image cannot be shown: answer “unsure”, or reload the page.");
    item.shown = performance.now();
    document.body.dataset.shown = item.token;
  }

  /** @param {string} answer */
  function answer(answer) {
    const item = items[0];
    if (!item || !item.shown) return;
    const took = performance.now() - item.shown;
    const again = !!item.answer;
    items.shift();
    const body = {
      token: item.token, answer, sequence: session.sequence++, seconds: took / 1000,
      uncanny: session.uncanny, comment: session.comment,
    };
    item.answer = answer;
    item.shown = 0;
    past.push(item);
    if (past.length > 50) past.shift();
    decided += again ? 0 : 1;
    show();
    flash(`[data-answer="${answer}"]`);
    send("/api/verdict", body).then((found) => { if (found?.changed) hint("Kept as a changed mind."); });
    say(`${answer === "ai" ? "AI" : answer} saved. Next image.`);
    evidenceButton();
    tired(took);
    fill();
  }

  /** @param {number} took */
  function tired(took) {
    session.fast = took < FAST ? session.fast + 1 : 0;
    if (session.fast === 5) hint("Five answers within 0.3 s each: take your time, accuracy counts.");
    if (performance.now() - session.since > BREAK) {
      session.since = performance.now();
      hint("Twenty minutes: look out of a window for a moment.", 15000);
    }
  }

  function undo() {
    const item = past.pop();
    if (!item) return hint("Nothing to take back.", 2000);
    if (items[0]) items[0].shown = 0;
    items.unshift(item);
    show();
    evidenceButton();
    say(`Back. You had said ${item.answer}. Answer again.`);
    hint(`Again: you had said ${item.answer === "ai" ? "AI" : item.answer}.`, 2500);
  }

  function evidenceButton() {
    /** @type {HTMLButtonElement} */ (document.querySelector('[data-do="evidence"]')).disabled = !past.length;
  }

  function equalise() {
    const canvas = frame.querySelector("canvas");
    if (canvas) canvas.remove();
    else if (items[0]) frame.append(equalised(items[0].image));
    pressed("equalise", !canvas);
    place();
  }

  async function evidence() {
    const item = past.at(-1);
    if (!item) return;
    await chains.get(item.token);
    let found;
    try { found = await ask("/api/evidence", { token: item.token }); } catch (error) { return hint(/** @type {Error} */ (error).message); }
    item.evidence = true;
    need("said", HTMLElement).textContent = item.answer === "ai" ? "AI" : item.answer;
    need("origin", HTMLElement).textContent = `What is known: ${found.title}.`;
    const thumb = new Image();
    thumb.src = item.image.src;
    thumb.alt = "The image you judged last";
    need("thumb", HTMLElement).replaceChildren(thumb);
    const facts = need("facts", HTMLElement);
    facts.replaceChildren(...[["name", found.uri ?? "–"], ...found.facts].map(([term, text]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: term }), Object.assign(document.createElement("dd"), { textContent: text }));
      return row;
    }));
    need("reasons", HTMLElement).replaceChildren(...found.reasons.map((/** @type {string} */ r) => Object.assign(document.createElement("li"), { textContent: r })));
    mark(item.answer);
    need("evidence", HTMLDialogElement).showModal();
  }

  /** @param {string} answer */
  function mark(answer) {
    for (const b of document.querySelectorAll("[data-change]")) b.setAttribute("aria-pressed", String(b.getAttribute("data-change") === answer));
  }

  for (const button of document.querySelectorAll("[data-change]")) {
    button.addEventListener("click", () => {
      const item = past.at(-1);
      const word = button.getAttribute("data-change") ?? "";
      if (!item || word === item.answer) return;
      item.answer = word;
      mark(word);
      need("said", HTMLElement).textContent = word === "ai" ? "AI" : word;
      send("/api/verdict", { token: item.token, answer: word, sequence: session.sequence++, seconds: null, uncanny: false, comment: "" });
      say("Changed mind saved.");
    });
  }

  const words = need("words", HTMLTextAreaElement);
  need("comment", HTMLDialogElement).addEventListener("close", () => { session.comment = words.value.trim(); if (session.comment) hint("Comment kept: it is saved with your answer.", 2500); });
  words.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      // The close event comes a moment later; an answer given in between must already carry the words.
      session.comment = words.value.trim();
      need("comment", HTMLDialogElement).close();
    }
  });

  for (const button of document.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", (event) => { answer(button.getAttribute("data-answer") ?? ""); letGo(event); });
  }
  fill();
  /** @type {Record<string, () => void>} */
  const actions = {
    undo, evidence, equalise,
    flip: () => { view.flip = !view.flip; place(); },
    uncanny: () => { session.uncanny = !session.uncanny; pressed("uncanny", session.uncanny); say(session.uncanny ? "Flagged as uncanny" : "Flag removed"); },
    comment: () => { words.value = session.comment; need("comment", HTMLDialogElement).showModal(); },
    left: () => pan(80, 0), right: () => pan(-80, 0), up: () => pan(0, 80), down: () => pan(0, -80),
  };
  /** @type {Record<string, string>} */
  const keys = { z: "undo", f: "flip", e: "equalise", n: "uncanny", c: "comment", v: "evidence", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
  /** @type {Record<string, string>} */ const answers = { h: "human", a: "ai", u: "unsure" };
  /** @param {string} key @returns {boolean} whether the key means something here */
  function press(key) {
    if (answers[key]) answer(answers[key]);
    else if (key in keys) actions[keys[key]]();
    else return false;
    return true;
  }
  return { actions, press };
}

/* ------------------------------------------------------------------------------------- compare */

function compare() {
  /** @type {Couple[]} */ const couples = [];
  const frames = [need("frame-a", HTMLElement), need("frame-b", HTMLElement)];
  let filling = false;

  async function fill() {
    if (filling || couples.length >= 4) return;
    filling = true;
    try {
      const found = await ask("/api/pairs", { n: 3 });
      for (const { token } of found.pairs) {
        const both = ["a", "b"].map((side) => picture(`/image/${token}/${side}`));
        both.forEach((one, i) => { one.image.alt = i ? "The right image" : "The left image"; });
        couples.push({ token, images: both.map((o) => o.image), ready: Promise.all(both.map((o) => o.ready)).then((r) => r.every(Boolean)), shown: 0 });
      }
      if (!found.pairs.length && !couples.length) note("There are too few images to compare.", true);
    } catch (error) { hint(/** @type {Error} */ (error).message); }
    filling = false;
    if (couples[0] && !couples[0].shown) show();
  }

  async function show() {
    const couple = couples[0];
    Object.assign(view, { scale: 1, x: 0, y: 0, flip: false });
    if (!couple) return frames.forEach((f) => f.replaceChildren());
    note("");
    frames.forEach((f, i) => f.replaceChildren(couple.images[i]));
    place();
    await couple.ready;
    couple.shown = performance.now();
    document.body.dataset.shown = couple.token;
  }

  /** @param {string} outcome */
  function vote(outcome) {
    const couple = couples[0];
    if (!couple?.shown) return;
    couples.shift();
    decided += 1;
    show();
    flash(`[data-vote="${outcome}"]`);
    send("/api/vote", { token: couple.token, outcome, seconds: (performance.now() - couple.shown) / 1000 });
    say("Saved. Next pair.");
    fill();
  }

  for (const button of document.querySelectorAll("[data-vote]")) {
    button.addEventListener("click", (event) => { vote(button.getAttribute("data-vote") ?? ""); letGo(event); });
  }
  fill();
  /** @type {Record<string, string>} */ const votes = { ArrowLeft: "a", ArrowRight: "b", ArrowDown: "tie", ArrowUp: "both_bad" };
  /** @type {Record<string, [number, number]>} */ const moves = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
  /** @param {string} key @param {boolean} shift @returns {boolean} whether the key means something here */
  function press(key, shift) {
    if (shift && key in moves) pan(...moves[key]);
    else if (key in votes) vote(votes[key]);
    else return false;
    return true;
  }
  return { actions: {}, press };
}

/* ---------------------------------------------------------------------------------------- keys */

/** @param {string} selector */
function flash(selector) {
  const button = document.querySelector(selector);
  button?.classList.add("hit");
  setTimeout(() => button?.classList.remove("hit"), 120);
}

/** A click with the mouse leaves the keys to the page, not to the button. @param {Event} event */
function letGo(event) { if (/** @type {MouseEvent} */ (event).detail) /** @type {HTMLElement} */ (event.currentTarget).blur(); }

/** @typedef {{actions: Record<string, () => void>, press: (key: string, shift: boolean) => boolean}} RoomPage */
/** @type {RoomPage} */
const room = page === "compare" ? compare() : decide();
/** @type {Record<string, () => void>} */
const actions = { ...room.actions, loupe: () => loupe(1), help: () => need("help", HTMLDialogElement).showModal() };

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const onControl = target.closest("button, a, input, textarea") !== null;
  if (onControl && (event.key === " " || event.key === "Enter")) return;
  if (event.key === "Escape") { if (view.scale > 1) unzoom(); else location.href = "/"; return; }
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === " ") loupe(event.shiftKey ? 2 : 1);
  else if (key === "?") actions.help();
  else if (!room.press(key, event.shiftKey)) return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", (event) => { actions[button.getAttribute("data-do") ?? ""]?.(); letGo(event); });
}

const stage = need("stage", HTMLElement);
let dragged = false;
stage.addEventListener("pointermove", (event) => {
  pointer.x = event.clientX;
  pointer.y = event.clientY;
  if (event.buttons === 1 && view.scale > 1) { dragged = true; pan(event.movementX, event.movementY); }
});
stage.addEventListener("pointerdown", (event) => { dragged = false; pointer.x = event.clientX; pointer.y = event.clientY; });
stage.addEventListener("dblclick", () => { if (!dragged) loupe(1); });
counted();
