// A hit as an element. Whatever documents hold becomes text nodes, never markup.

import { excerpt, marked } from "./words.js";

const FLAGS = {
  no_passage: "no text in the passage’s fields",
  outside_window: "behind the rank window",
  no_finite_score: "the model gave no finite score",
  replaced_characters: "has characters that could not be encoded",
};

/** An element with classes, a text or children, and attributes. */
export function make(tag, classes = "", content = [], attributes = {}) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...(Array.isArray(content) ? content : [String(content)]));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A number with about four digits; a dash for none. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e4 && size < 1e7) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

/** What the engine and the model made of the scores of a list: the lengths of bars are shares of the largest. */
export function scales(hits) {
  const largest = (pick) => Math.max(0, ...hits.map(pick).filter(Number.isFinite));
  const shares = hits.filter((hit) => hit.rerank_share !== null);
  const stacked = shares.length > 0 && shares.every((hit) => hit.first_stage_share >= 0 && hit.rerank_share >= 0);
  return {
    stacked: stacked && shares.some((hit) => hit.first_stage_share > 0),
    first: largest((hit) => hit.first_stage_score),
    total: largest((hit) => (stacked ? hit.first_stage_share + hit.rerank_share : hit.score)),
  };
}

/** One list's item. `side` is "first" or "final". */
export function card(hit, side, key, wanted, scale) {
  const rank = side === "first" ? hit.first_stage_rank : hit.rank;
  const title = hit.title || hit.id || "(no id)";
  const body = hit.title && hit.passage.startsWith(hit.title) ? hit.passage.slice(hit.title.length) : hit.passage;
  const text = body.trim();
  const head = make("button", "head", [
    make("span", "rank", rank),
    make("span", "words", [
      make("span", hit.title ? "title" : "title untitled", marked(title, wanted), { dir: "auto" }),
      text
        ? make("span", "snippet", marked(excerpt(text, wanted), wanted), { dir: "auto" })
        : make("span", "snippet nothing", hit.passage ? "" : "No text in the passage’s fields"),
    ]),
    make("span", "measure", measures(hit, side, scale)),
  ]);
  head.type = "button";
  head.tabIndex = -1;
  head.setAttribute("aria-expanded", "false");
  head.setAttribute("aria-controls", `${side}-${key}`);
  head.setAttribute("aria-label", spoken(hit, side, rank, title));
  const more = make("div", "more", [], { id: `${side}-${key}` });
  more.hidden = true;
  const item = make("li", "card", [head, more]);
  item.dataset.key = key;
  if (movement(hit) && side === "final") item.dataset.way = movement(hit) > 0 ? "up" : "down";
  if (hit.rank === null) item.dataset.removed = "";
  head.addEventListener("click", () => toggle(item, () => details(hit, wanted)));
  return item;
}

/** Open or close an item; its inside is made when it is first opened. */
export function toggle(item, fill) {
  const [head, more] = item.children;
  if (!more.hasChildNodes() && fill) more.append(...fill());
  more.hidden = !more.hidden;
  head.setAttribute("aria-expanded", String(!more.hidden));
}

/** How many places a hit rose. */
export const movement = (hit) => (hit.rank === null ? 0 : hit.first_stage_rank - hit.rank);

function measures(hit, side, scale) {
  if (side === "first") {
    const gone = hit.rank === null ? [make("span", "badge gone", "✕")] : [];
    return [...gone, make("span", "score", figure(hit.first_stage_score)), bar([["engine", hit.first_stage_score]], scale.first)];
  }
  const parts = scale.stacked
    ? [["engine", hit.first_stage_share], ["model", hit.rerank_share]]
    : [[hit.rerank_score === null ? "engine" : "model", hit.score]];
  return [badge(hit), make("span", "score", figure(hit.score)), bar(parts, scale.total)];
}

function badge(hit) {
  const places = movement(hit);
  if (places === 0) return make("span", "badge same", "=");
  return make("span", places > 0 ? "badge up" : "badge down", `${places > 0 ? "▲" : "▼"}${Math.abs(places)}`);
}

function bar(parts, largest) {
  const pieces = parts.map(([name, value]) => {
    const piece = make("i", name);
    piece.style.width = `${largest > 0 ? Math.max(0, (100 * (value ?? 0)) / largest) : 0}%`;
    return piece;
  });
  return make("span", "gauge", pieces);
}

function spoken(hit, side, rank, title) {
  const places = movement(hit);
  const moved = `${places > 0 ? "up" : "down"} ${Math.abs(places)} from ${hit.first_stage_rank}`;
  const fate = hit.rank === null ? "removed for its low model score" : `rank ${hit.rank} after reranking`;
  const said = side === "first" ? fate : places ? moved : "not moved";
  const score = side === "first" ? hit.first_stage_score : hit.score;
  return `Rank ${rank}: ${title.slice(0, 120)}. ${said}. Score ${figure(score)}.`;
}

function details(hit, wanted) {
  const rows = [["id", hit.id, "mono"]];
  rows.push(["first stage", `rank ${hit.first_stage_rank}, score ${figure(hit.first_stage_score)}`]);
  rows.push(["model", hit.rerank_score === null ? "not scored" : `raw score ${figure(hit.rerank_score)}`]);
  if (hit.windows.length > 1) rows.push(["windows", hit.windows.map(figure).join("  "), "mono"]);
  if (hit.rerank_share !== null) {
    const total = hit.first_stage_share + hit.rerank_share;
    const sum = `${figure(hit.first_stage_share)} (first stage) + ${figure(hit.rerank_share)} (model) = ${figure(total)}`;
    rows.push(["fused", sum]);
  }
  rows.push(["final", hit.rank === null ? "removed: below min_rerank_score" : `rank ${hit.rank}, score ${figure(hit.score)}`]);
  if (hit.flags.length) rows.push(["flags", hit.flags.map((flag) => FLAGS[flag] ?? flag).join("; ")]);
  const facts = make("dl", "facts", rows.map(([name, value, kind]) =>
    make("div", "", [make("dt", "", name), make("dd", kind ?? "", value, kind ? { dir: "auto" } : {})])));
  if (!hit.passage) return [facts];
  const cut = hit.passage_length - hit.passage.length;
  const label = `What the model was given to read${cut > 0 ? `: the first ${hit.passage.length.toLocaleString("en")} of ${hit.passage_length.toLocaleString("en")} characters` : ""}`;
  return [make("h3", "", label), make("div", "passage", marked(hit.passage, wanted), { dir: "auto", tabindex: "0", role: "region", "aria-label": "Passage" }), facts];
}
