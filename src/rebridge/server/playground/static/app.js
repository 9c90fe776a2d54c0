// The page: what it asks for stands behind the # of its address, so that a search can be shared and gone back to.

import { card, make, movement, scales, toggle } from "./cards.js";
import { keyboard } from "./keys.js";
import { draw } from "./lines.js";
import { hasKey, pipelines, search, useKey } from "./server.js";
import { brief, FAILURES, outcome, timing } from "./telling.js";
import { pattern } from "./words.js";

const SIZE = 10;
const LAST_PAGE = 95; // the server goes no further
const SLOW_MS = 1200;

const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 52rem)");
const lists = { first: at("first-hits"), final: at("final-hits") };
let known = [];
let running = null; // the AbortController of the newest search: an older one never shows anything
let shown = null;

/** What the address asks for. */
function wanted() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const page = Number.parseInt(asked.get("page") ?? "1", 10);
  return {
    pipeline: asked.get("pipeline") ?? "",
    query: (asked.get("q") ?? "").trim().slice(0, 2000),
    page: Number.isFinite(page) ? Math.min(Math.max(page, 1), LAST_PAGE) : 1,
  };
}

/** Put a search into the address, which runs it; the same one again is run again. */
function go({ pipeline, query, page }) {
  const asked = new URLSearchParams({ pipeline, q: query });
  if (page > 1) asked.set("page", page);
  const hash = `#${asked}`;
  if (location.hash === hash) run();
  else location.hash = hash;
}

function stop() {
  running?.abort();
  running = null;
  document.body.removeAttribute("data-busy");
}

async function run() {
  stop();
  const { pipeline, query, page } = wanted();
  const chosen = known.find(({ name }) => name === pipeline) ?? (pipeline ? undefined : known[0]);
  at("query").value = query;
  if (chosen) at("pipeline").value = chosen.name;
  if (!query || !known.length) {
    clear();
    return at("query").focus();
  }
  if (!chosen) return fail({ reason: "unknown_pipeline", message: `There is no pipeline “${pipeline}” here.` });
  const mine = new AbortController();
  running = mine;
  document.body.dataset.busy = "";
  const slow = setTimeout(() => say(chosen.loaded === false ? "Loading the model: the first search waits for it …" : "Still searching …"), SLOW_MS);
  try {
    const question = { pipeline: chosen.name, query, size: SIZE, offset: (page - 1) * SIZE };
    const answer = await search(question, mine.signal);
    if (running === mine) show(answer, chosen);
  } catch (error) {
    if (running === mine) fail(error);
  } finally {
    clearTimeout(slow);
    if (running === mine) stop();
  }
}

/** Say how a running search does, where its outcome will stand. */
function say(text) {
  at("outcome").replaceChildren(make("span", "pill", "Waiting"), make("span", "", text));
  at("timing").replaceChildren();
  at("said").textContent = text;
}

function clear() {
  shown = null;
  document.title = "rebridge playground";
  for (const id of ["lists", "pager", "notice"]) at(id).hidden = true;
  at("start").hidden = false;
  at("timing").replaceChildren();
  about();
}

/** What the chosen pipeline is, before anything was asked. */
function about() {
  if (shown || at("lists").hidden === false) return;
  const one = known.find(({ name }) => name === at("pipeline").value);
  if (!one) return at("outcome").replaceChildren();
  const later = one.loaded === false ? ", which is not loaded yet: the first search waits for it" : "";
  at("outcome").replaceChildren(
    make("span", "", `${one.engine}: the first ${one.rank_window} hits are reranked by ${brief(one.model)}${later}.`),
  );
}

function notice(title, text, kind) {
  const box = at("notice");
  box.className = `notice ${kind}`;
  box.replaceChildren(make("b", "", title), make("span", "", text, { dir: "auto" }));
  box.hidden = false;
}

function fail(error) {
  if (error.status === 401) return askKey();
  clear();
  at("start").hidden = true;
  at("outcome").replaceChildren();
  notice(FAILURES[error.reason] ?? "The search failed", error.message, "bad");
}

function show(answer, pipeline) {
  shown = answer;
  const { hits, summary } = answer;
  const words = pattern(answer.query);
  const scale = scales(hits);
  const fill = (side, places) =>
    lists[side].replaceChildren(...places.map((place) => card(hits[place], side, String(place), words, scale)));
  document.title = `${answer.query.slice(0, 60)} · rebridge playground`;
  at("start").hidden = at("notice").hidden = true;
  at("lists").hidden = answer.fetched === 0;
  at("final-title").textContent = summary.status === "applied" ? "Reranked" : "Answer, in the engine’s order";
  at("first-note").textContent = `as ${pipeline.engine} ranks it`;
  legend(at("final-note"), scale, summary);
  fill("first", answer.first_stage);
  fill("final", answer.reranked);
  for (const list of Object.values(lists)) if (list.firstElementChild) list.firstElementChild.firstElementChild.tabIndex = 0;
  const told = outcome(answer);
  at("outcome").replaceChildren(make("span", `pill ${summary.status}`, told.word), make("span", "", told.sentence));
  at("timing").replaceChildren(...timing(summary));
  if (told.warning) notice(summary.status === "applied" ? "A fallback answered" : "The engine’s order is shown", told.warning, "odd");
  else if (!answer.fetched) notice("No hits", `Nothing in ${answer.pipeline} matches these words.`, "");
  at("said").textContent = `${told.word}. ${told.sentence} ${told.warning ?? ""}`;
  pages(answer);
  redraw();
  if (summary.status === "applied") pipeline.loaded = pipeline.loaded === null ? null : true;
}

function legend(element, scale, { status }) {
  const swatches = scale.stacked ? [["engine", "first stage"], ["model", "model"]] : [];
  element.replaceChildren(
    ...(status === "applied" ? swatches : []).map(([name, word]) => make("span", "swatch", [make("i", name), word])),
  );
}

function pages({ offset, size, fetched, first_stage: hits, reranked }) {
  const page = offset / size + 1;
  at("before").disabled = page === 1;
  at("after").disabled = Math.max(hits.length, reranked.length) < size || page === LAST_PAGE;
  at("place").textContent = `Page ${page}`;
  at("pager").hidden = fetched === 0 || (at("before").disabled && at("after").disabled);
}

function turn(by) {
  const { pipeline, query, page } = wanted();
  go({ pipeline, query, page: page + by });
  scrollTo({ top: 0 });
}

function byKey(list) {
  return new Map([...list.children].map((item) => [item.dataset.key, item]));
}

function redraw() {
  if (!shown || at("lists").hidden) return;
  const ranks = new Map(shown.hits.map((hit, place) => [String(place), { from: hit.first_stage_rank, to: hit.rank }]));
  draw(at("lines"), byKey(lists.first), byKey(lists.final), ranks);
  light(document.querySelector(".card:focus-within, .card:hover")?.dataset.key);
}

/** Bring a hit's line and both its cards out. */
function light(key) {
  at("lists").toggleAttribute("data-lit", key !== undefined);
  for (const part of document.querySelectorAll(".card, .line")) part.toggleAttribute("data-on", part.dataset.key === key);
}

function askKey() {
  at("key-note").textContent = hasKey()
    ? "The server does not know this key. Try another one."
    : "It is kept until this tab is closed, and sent in a header only.";
  at("key").value = "";
  if (!at("ask-key").open) at("ask-key").showModal();
}

async function start() {
  try {
    ({ pipelines: known } = await pipelines());
  } catch (error) {
    return fail(error);
  }
  at("pipeline").replaceChildren(...known.map(({ name }) => new Option(name, name)));
  if (!known.length) {
    clear();
    return notice("No pipelines", "Put one into ./configs, or start the server with --configs FOLDER.", "odd");
  }
  return run();
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = at("query").value.trim();
  if (query) go({ pipeline: at("pipeline").value, query, page: 1 });
});
at("pipeline").addEventListener("change", () => {
  const query = at("query").value.trim();
  if (query) go({ pipeline: at("pipeline").value, query, page: 1 });
  else about();
});
at("before").addEventListener("click", () => turn(-1));
at("after").addEventListener("click", () => turn(1));
at("key-form").addEventListener("submit", () => {
  useKey(at("key").value);
  start();
});
for (const name of ["pointerover", "focusin"])
  at("lists").addEventListener(name, (event) => light(event.target.closest(".card, .line")?.dataset.key));
for (const name of ["pointerleave", "focusout"]) at("lists").addEventListener(name, () => light(undefined));
addEventListener("hashchange", run);
new ResizeObserver(redraw).observe(at("lists"));

// On a narrow page the answer comes first, for the eye and for the keyboard alike.
function arrange() {
  const [first, final] = [at("first"), at("final")];
  if (narrow.matches) first.before(final);
  else at("lines").after(final);
  redraw();
}
narrow.addEventListener("change", arrange);
arrange();

keyboard({ query: at("query"), lists, toggle, stop: () => {
  if (!running) return false;
  stop();
  at("outcome").replaceChildren(make("span", "pill", "Stopped"));
  return true;
} });
start();
